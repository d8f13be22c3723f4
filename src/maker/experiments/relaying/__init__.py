"""A document edited there and back again and again: what is left of it, by how much is asked for in a call."""
