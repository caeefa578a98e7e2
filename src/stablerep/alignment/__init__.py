"""Scores how well images match their captions, and rejects those that do not."""
