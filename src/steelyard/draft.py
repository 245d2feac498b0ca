"""A first spec from a look at the data: it runs unedited, and every line says what it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steelyard.contracts import Column, Kind, Problem, Task
from steelyard.data import Dataset, Finding, Inspection, Severity, inspect
from steelyard.errors import DataUnfit, SpecInvalid, nearest
from steelyard.spec import Spec
from steelyard.spec.drafting import comment, line
from steelyard.tasks import metric
