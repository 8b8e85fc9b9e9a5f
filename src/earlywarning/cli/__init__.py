"""The command `earlywarning`: for operators, analysts and suppliers."""

from earlywarning.cli.app import main

__all__ = ["main"]
