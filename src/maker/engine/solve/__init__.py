"""A problem in plain words: its roles, its tree, and the run over both."""
