"""Other processes that decide stretches of a run, for models that can be made again from their name."""
