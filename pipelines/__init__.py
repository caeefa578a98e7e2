"""The Kedro project: wiring only. The work is done in the library `stablerep`."""
