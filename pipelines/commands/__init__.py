"""The commands of `stablerep`."""
