"""Searches settings whose cost is images: the guidance scale."""
