"""How data lies on the disk: shards, whole files, checkpoints."""
