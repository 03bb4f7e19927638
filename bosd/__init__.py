"""The operating system for batteries."""

__version__ = "0.1.0"
