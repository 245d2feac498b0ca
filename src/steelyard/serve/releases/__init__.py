"""Versions of a model: a shelf of bundles, roles, switches that are logged, and going back by itself.

A *shelf* is a folder of immutable bundles by the name of their version. Each *role* (stable, previous, canary, shadow)
belongs to at most one of them. A *switch* changes roles; it is a line of a log, which is the state: every process of a
server, now and after a restart, does what the log says.
"""

from __future__ import annotations

from steelyard.serve.releases.settings import Releasing, Watching, read_watching
from steelyard.serve.releases.shelf import is_shelf, is_version, shelve, versions

__all__ = ["Releasing", "Watching", "is_shelf", "is_version", "read_watching", "shelve", "versions"]
