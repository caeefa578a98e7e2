"""Draws images with a diffusion model."""
