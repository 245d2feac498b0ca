"""From a file, folder or frame to typed columns, a coded target and fixed splits.

``load`` is the way in for a run, ``inspect`` for a look that stops at nothing; ``store`` keeps a data set for
other processes; ``coerce`` turns rows into columns at predict time with the rules that training used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from steelyard.data.columns import extras, row_to_columns, to_columns
from steelyard.data.dataset import Dataset, Finding, Part, Partition, Severity
from steelyard.data.plain import read_plain

if TYPE_CHECKING:
    from steelyard.data.loading import Inspection, inspect, load

__all__ = [
    "Dataset",
    "Finding",
    "Inspection",
    "Part",
    "Partition",
    "Severity",
    "extras",
    "inspect",
    "load",
    "read_plain",
    "row_to_columns",
    "to_columns",
]


def __getattr__(name: str) -> Any:
    """Load what reads and checks data when it is first asked for: what answers rows does without it."""
    if name in {"Inspection", "inspect", "load"}:
        return getattr(importlib.import_module("steelyard.data.loading"), name)
    raise AttributeError(f"module 'steelyard.data' has no attribute {name!r}")
