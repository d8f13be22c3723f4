"""What is asked, as the user gives it. Pure, but for `load.py`, which imports the user's file."""
