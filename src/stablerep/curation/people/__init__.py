"""What people decide about captions: edits and takedowns."""
