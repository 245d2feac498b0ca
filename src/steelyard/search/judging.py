"""Counting what the answers of one model came to."""

from __future__ import annotations

import math

import numpy as np

from steelyard.contracts import Answer, Floats, Problem
from steelyard.contracts.ragged import flattened
from steelyard.data import Dataset
from steelyard.search.judged import BINS, MOST_CLASSES, Judged
from steelyard.search.making import part_answer
from steelyard.search.outcomes import Outcomes

_Z95 = 1.959963984540054


def judge(dataset: Dataset, outcomes: Outcomes, answer: Answer) -> Judged | None:
    """Return what became of one model's answers, every row counted once; ``None`` where some are no numbers."""
    task, own = dataset.task, part_answer(answer, outcomes.where)
    if task.problem is Problem.FORECASTING:  # a curve of what came by what was foretold says nothing of steps ahead
        return None
    target = np.asarray(outcomes.target)
    if task.problem is Problem.TAGGING:  # judged token by token
        target, own = (
            flattened(target)[0].astype(np.int64),
            Answer(*(flattened(a)[0] for a in (own.scores, own.decided))),
        )
    if task.problem is Problem.REGRESSION:
        said, came = np.asarray(own.decided, dtype=np.float64), target.astype(np.float64)
    elif task.problem is Problem.BINARY:
        code = len(task.classes) - 1 if task.positive is None else task.classes.index(task.positive)
        said, came = np.asarray(own.scores[:, code], dtype=np.float64), (target == code).astype(np.float64)
    else:
        said, came = own.scores.max(axis=1).astype(np.float64), (own.scores.argmax(axis=1) == target).astype(np.float64)
    if not (np.isfinite(said).all() and np.isfinite(came).all()):
        return None
    bins = tuple(_bin(said[part], came[part], shares=bool(task.classes)) for part in _parts(said))
    error = math.fsum(abs(said - came) * rows for said, came, _, _, rows in bins) / len(said)
    return Judged(rows=len(said), confusion=_confusion(len(task.classes), target, own), bins=bins, error=error)


def _parts(said: Floats) -> list[np.ndarray]:
    """Deal rows into bins by what was foretold; equal ones stay together."""
    order = np.argsort(said, kind="stable")
    edges = np.unique(np.searchsorted(said[order], np.quantile(said, np.arange(1, BINS) / BINS), side="left"))
    return [part for part in np.split(order, edges) if len(part)]


def _bin(said: Floats, came: Floats, *, shares: bool) -> tuple[float, float, float, float, int]:
    count, mean = len(came), float(came.mean())
    low, high = _wilson(mean, count) if shares else _of_mean(came)
    return float(said.mean()), mean, low, high, count


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share.

    Examples
    --------
    >>> [round(end, 3) for end in _wilson(0.0, 10)]
    [0.0, 0.278]
    """
    room = _Z95**2 / count
    middle, half = share + room / 2, _Z95 * math.sqrt(share * (1 - share) / count + room / (4 * count))
    return max(0.0, (middle - half) / (1 + room)), min(1.0, (middle + half) / (1 + room))


def _of_mean(values: Floats) -> tuple[float, float]:
    half = _Z95 * float(values.std()) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def _confusion(classes: int, target: np.ndarray, own: Answer) -> tuple[tuple[int, ...], ...]:
    if not 0 < classes <= MOST_CLASSES:
        return ()
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (target.astype(np.int64), np.asarray(own.decided, dtype=np.int64)), 1)
    return tuple(tuple(int(n) for n in row) for row in counts)
