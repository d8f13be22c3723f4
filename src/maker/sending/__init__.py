"""Draws on their way: limits held before sending, retries, the account of what was spent."""
