"""Errors that pile up: what a model makes of its own mistakes, and which of its replies betray them."""
