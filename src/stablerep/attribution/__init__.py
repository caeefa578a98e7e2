"""Whence an image came: its record, its bytes, the same image made again, and its removal."""
