"""Who makes the shards of a plan: processes of this machine, `accelerate launch`, or a Ray cluster."""
