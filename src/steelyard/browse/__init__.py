"""Browse: a folder of runs as pages on this machine alone; reads, never writes, never locks."""

from steelyard.browse.runs import Listed, list_runs
from steelyard.browse.server import Browser, serve_runs

__all__ = ["Browser", "Listed", "list_runs", "serve_runs"]
