"""The page at ``/docs``: a form made from the model's signature, and what it answers."""

from __future__ import annotations

from importlib.resources import files

PAGE = files("steelyard.serve").joinpath("page.html").read_bytes()
"""One file without anything from elsewhere. It names no model: what it shows it asks for, with the visitor's key."""
