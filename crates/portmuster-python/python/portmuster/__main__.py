"""Runs the program: ``python -m portmuster``."""

from ._program import main

main()
