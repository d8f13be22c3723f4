"""Single replies of a model that thinks aloud: which betray an error, and what a long one is worth."""
