"""The functions people call, one file each."""
