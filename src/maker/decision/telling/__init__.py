"""Results in words: as lines of text, and as HTML for a notebook."""
