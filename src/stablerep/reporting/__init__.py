"""What a run found, for people: the report, and the page on curation."""
