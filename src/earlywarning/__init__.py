"""Early warning for joint crime prevention."""

__version__ = "0.1.0"
