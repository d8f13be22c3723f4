"""`python -m maker` is the command line."""

from maker.cli import main

main()
