"""A finished run, judged by a sample of its decisions."""
