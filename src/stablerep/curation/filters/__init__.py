"""The caption filters, one idea per file."""
