"""A run seen while it goes on: from its journal alone, in a browser or a terminal."""
