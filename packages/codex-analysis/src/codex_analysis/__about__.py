"""The version of this distribution, read by hatchling and by the front door."""

__version__ = "1.0.0"
