"""From a file, folder or frame to typed columns, a coded target and fixed splits.

``load`` is the way in for a run, ``inspect`` for a look that stops at nothing; ``store`` keeps a data set for
other processes; ``coerce`` turns rows into columns at predict time with the rules that training used.
"""

from steelyard.data.coerce import extras, row_to_columns, to_columns
from steelyard.data.dataset import Dataset, Finding, Part, Partition, Severity
from steelyard.data.load import Inspection, inspect, load
from steelyard.data.plain import read_plain

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
