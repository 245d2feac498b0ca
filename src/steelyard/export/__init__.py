"""A run in the forms of other tools, and its bundle on other ways out: tables, metrics, event files, MLflow, C.

Reads a run and writes elsewhere; a run is never changed. Each format is one file here, and one line of
:data:`FORMATS`.
"""

from __future__ import annotations

from steelyard.export.formats import FORMATS, Format, Given, Written
from steelyard.export.make import export

__all__ = ["FORMATS", "Format", "Given", "Written", "export"]
