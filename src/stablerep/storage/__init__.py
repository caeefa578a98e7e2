"""How data lies on the disk or in memory: shards, pixels, whole files, checkpoints."""
