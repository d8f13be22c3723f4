"""Bytes to a server and back: when they may go (`gate.py`), how they go (`wire.py`), and in what time and size."""
