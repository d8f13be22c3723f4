"""`python -m maker` is the command line."""

from maker.cli.app import main

main()
