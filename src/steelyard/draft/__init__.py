"""A first spec from a look at the data: it runs unedited, and every line says what it is for."""

from steelyard.draft._write import draft

__all__ = ["draft"]
