"""Finished image sets of every source, as arms are trained on them: generated, corpus, rendered, mixture."""
