"""A run from its checks to its end: one at a time, in several processes, stopped by a signal."""
