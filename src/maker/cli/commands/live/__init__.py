"""The commands for a run that goes on: see it, and steer it."""
