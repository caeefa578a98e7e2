"""Contrastive losses; a method is one of them with how its batches are drawn."""
