"""What the data says about the spec that it needs: what to leave out, how to split, which rows to drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard.contracts import Column, Kind
from steelyard.data import Dataset, Finding, Inspection, Severity, inspect
from steelyard.errors import DataUnfit
from steelyard.spec import Spec

_MOST_LOOKS = 20
_OF_A_COLUMN = frozenset({"leak", "nested_column"})
"""Findings that leaving a column out settles."""
_SIDES = "names the sides of a split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A data set that can be learned from, and what had to be said for that."""

    dataset: Dataset
    rows: int
    stopping: tuple[Finding, ...]
    """Findings of columns that would stop a run (leaks, nested cells), in the order in which they were found."""
    suspects: tuple[Finding, ...]
    """Findings of columns that may give the target away; a run goes on with them."""
    sides: str | None
    """Column that says which rows are test."""
    drop: bool
    """Whether rows without a target are to be dropped."""
    sided: bool
    """Whether the files themselves say so."""
    unused: tuple[Column, ...]
    """Columns that are read by no model: ids and constants, and sides that are not a whole split."""


def look(data: str, target: str) -> Look:
    """Look at the data until nothing stops a run any more.

    Raises
    ------
    DataUnfit
        If something stops it that a spec cannot settle (one class, several labels a row, too few rows).
    """
    asked: dict[str, Any] = {"data": data, "target": target}
    left_out: list[Finding] = []
    for _ in range(_MOST_LOOKS):
        found = inspect(Spec.model_validate(asked))
        stops = [f for f in found.findings if f.severity is Severity.STOP]
        if found.dataset is not None and not stops:
            return _settled(asked, found, found.dataset, left_out)
        if any(f.code == "missing_target" for f in stops):
            asked["checks"] = {"missing_target": "drop"}
        columns = [f for f in stops if f.code in _OF_A_COLUMN and f.column not in (None, target)]
        if len(columns) < len([f for f in stops if f.code != "missing_target"]):
            raise DataUnfit("\n".join(f.sentence for f in stops if f not in columns))
        left_out += columns
        asked["columns"] = {"ignore": [f.column for f in left_out]}
    raise DataUnfit(f"{data}: column after column stops a run; write a spec that names those to learn from")


def _settled(asked: dict[str, Any], found: Inspection, dataset: Dataset, left_out: list[Finding]) -> Look:
    columns = found.schema.of(Kind.ID, Kind.CONSTANT)
    sides = next((c.name for c in columns if c.why == _SIDES), None)
    if sides is not None:
        try:
            again = inspect(Spec.model_validate(asked | {"split": {"column": sides}}))
        except DataUnfit:
            again = found
        if again is not found and again.dataset is not None:
            dataset = again.dataset
        else:
            sides = None
    return Look(
        dataset=dataset,
        rows=found.rows,
        stopping=tuple(left_out),
        suspects=tuple(f for f in dataset.findings if f.code == "suspect"),
        sides=sides,
        drop="checks" in asked,
        sided=found.sided,
        unused=tuple(c for c in columns if c.name != sides),
    )
