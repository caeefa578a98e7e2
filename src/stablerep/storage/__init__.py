"""What lies on the disk or in memory, before any stage gives it a meaning: the lowest data layer."""
