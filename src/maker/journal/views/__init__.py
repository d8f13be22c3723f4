"""What a journal holds, item by item of a map or state by state of a run."""
