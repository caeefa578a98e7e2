"""What a run found, for people: the report and the generator's model card."""
