"""Configuration: composed by Hydra, checked against the library's settings, turned into objects."""
