"""Choosing among a few ways on training rows alone: the later ones judge what the earlier ones say."""

from __future__ import annotations

import math

import numpy as np

from steelyard.contracts import Answer, Floats, Ints, Split, Task
from steelyard.data.histories import TIME
from steelyard.tasks import metric

LATE = 0.2
"""Share of the times that judges."""


def judged(task: Task, rows: Split, values: Floats) -> float:
    """Return how good some values are in the aim, higher better; undefined figures count for least."""
    aim = metric(task.aim)
    figure = aim.measure(task, rows.target, Answer(values, values, scales=rows.scales))
    return -math.inf if math.isnan(figure) else aim.higher_is_better(figure)


def some_of(rows: Split, most: int) -> Split:
    """Return at most so many rows, spread evenly over those there are."""
    if len(rows) <= most:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))


def early_and_late(rows: Split, horizon: int) -> tuple[Ints, Ints] | None:
    """Return rows to fit on and later ones to judge by, with a horizon between them; ``None`` where they are too few.

    Examples
    --------
    >>> rows = Split({"time": np.arange(20.0)}, np.zeros((20, 2)), np.arange(20))
    >>> [part.tolist() for part in early_and_late(rows, 2)]
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [16, 17, 18, 19]]
    """
    place = np.unique(rows.columns[TIME], return_inverse=True)[1]
    border = round((1 - LATE) * (int(place.max(initial=0)) + 1))
    early, late = np.flatnonzero(place < border - horizon + 1), np.flatnonzero(place >= border)
    return (early, late) if len(early) and len(late) else None
