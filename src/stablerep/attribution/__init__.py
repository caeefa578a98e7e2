"""Where an image comes from: its record, its bytes, the same image made again, and its removal."""
