"""Text to images: the embedded generator, any diffusers pipeline, and image sets on disk."""
