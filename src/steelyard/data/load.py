"""The whole way from a spec to a data set, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard.contracts import Schema, Task
from steelyard.data.dataset import Dataset, Finding
from steelyard.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a look at the data found, whether or not it can be learned from.

    ``dataset`` is ``None`` when a finding stops the run; ``task`` when the target cannot be coded.
    """

    name: str
    source: str
    rows: int
    schema: Schema
    task: Task | None
    findings: tuple[Finding, ...]
    dataset: Dataset | None


def load(spec: Spec, base: Path | None = None) -> Dataset:
    """Read, type, check and split the data of a spec."""
    raise NotImplementedError


def inspect(spec: Spec, base: Path | None = None) -> Inspection:
    """Look at the data of a spec as :func:`load` does, and return what was found instead of stopping."""
    raise NotImplementedError
