"""The command line; each command is a file, `app.py` registers them."""

from maker.cli.app import main

__all__ = ["main"]
