"""Report: one structure, and four views of it: the terminal, JSON, a page, a model card."""

from steelyard.report.build import VERSION, build

__all__ = ["VERSION", "build"]
