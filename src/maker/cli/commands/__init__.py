"""One file a command; what they share is beside this folder."""
