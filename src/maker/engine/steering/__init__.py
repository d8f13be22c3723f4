"""A hand on a run that is under way: what it is told, and the socket that it is told through."""
