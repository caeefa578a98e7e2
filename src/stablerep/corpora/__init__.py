"""Captioned image corpora: what an encoder may see, and what it is tested on."""
