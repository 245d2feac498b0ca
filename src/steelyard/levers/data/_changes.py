"""What a data lever changed, row by row: the list is made first, and the rows are changed by it alone.

So nothing is changed that is not listed. The stored data stay as they are: a list is undone by training without it,
and one that a person has looked through and shortened can be applied again.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Problem, Split, Task


class Act(StrEnum):
    """What was done to a row."""

    DROPPED = "dropped"
    CORRECTED = "corrected"
    WEIGHED = "weighed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: the row's number in the source (from 0), what was done, the old and the new value, and why.

    ``old`` and ``new`` are targets (the name of a class, or a number) where one was corrected, weights where the row
    was weighed; of a row that was dropped ``old`` is what gave it away and ``new`` is empty.
    """

    row: int
    act: Act
    reason: str
    old: str
    new: str = ""
    why: str = ""


_FIELDS = ("row", "act", "reason", "old", "new", "why")


def applied(split: Split, changes: Iterable[Change], task: Task) -> Split:
    """Return the rows with some changes made; their order stays.

    Parameters
    ----------
    split
        Rows to train on. Changes of rows that it does not hold are passed over.
    changes
        What to change.
    task
        Its classes are what the names of corrected targets are looked up in.
    """
    places = {row: place for place, row in enumerate(split.rows.tolist())}
    keep = np.ones(len(split), dtype=bool)
    target = split.target.copy()
    weights = None if split.weights is None else split.weights.copy()
    for change in changes:
        place = places.get(change.row)
        if place is None:
            continue
        match change.act:
            case Act.DROPPED:
                keep[place] = False
            case Act.CORRECTED:
                target[place] = _coded(change.new, task)
            case Act.WEIGHED:
                weights = np.ones(len(split)) if weights is None else weights
                weights[place] = float(change.new)
    return replace(split, target=target, weights=weights).take(keep)


def named(target: NDArray[Any], task: Task) -> list[str]:
    """Return targets as people write them: names of classes, or numbers."""
    if task.problem is Problem.REGRESSION:
        return [repr(float(value)) for value in target]
    return [task.classes[int(code)] for code in target]


def _coded(name: str, task: Task) -> float | int:
    return float(name) if task.problem is Problem.REGRESSION else task.classes.index(name)


def to_csv(changes: Sequence[Change]) -> bytes:
    """Return a list of changes as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows(
        [change.row, change.act.value, change.reason, change.old, change.new, change.why] for change in changes
    )
    return out.getvalue().encode()


def from_csv(content: bytes) -> tuple[Change, ...]:
    r"""Read what :func:`to_csv` wrote, or what a person left of it.

    Examples
    --------
    >>> one = Change(row=3, act=Act.DROPPED, reason="duplicate", old="row 1", why="the same, entered twice")
    >>> from_csv(to_csv([one])) == (one,)
    True
    """
    rows = csv.DictReader(io.StringIO(content.decode()))
    return tuple(
        Change(
            row=int(row["row"]),
            act=Act(row["act"]),
            reason=row["reason"],
            old=row["old"],
            new=row["new"],
            why=row["why"],
        )
        for row in rows
    )


def said(value: float) -> str:
    """Return a number as it is listed."""
    return "" if math.isnan(value) else f"{value:.6g}"
