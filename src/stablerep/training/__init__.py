"""Trains the arms of an experiment: a method on a source of images."""
