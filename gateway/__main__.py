"""Runs the command `sluice` for `python -m gateway`."""

from gateway.cli import main

main()
