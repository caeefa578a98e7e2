"""Makes an image set: plan, shards, manifest."""
