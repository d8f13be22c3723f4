"""Looking back, from the file alone."""
