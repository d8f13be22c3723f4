"""Tools as the user gives them: their schemas, their arguments checked, and replies with calls read."""
