"""How much a model would miss a column: the rise of its loss when the column is shuffled among rows.

Breiman, "Random Forests" (2001); for any model: Fisher, Rudin and Dominici, "All Models are Wrong, but Many are
Useful" (2019). It is read off the exported bundle, on rows that did not train it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from steelyard.bundle import Bundle
from steelyard.contracts import NUMERIC, Answer, Columns, Floats, Ints, Problem, Split, Task
from steelyard.data import Dataset
from steelyard.data.dataset import Part

SECONDS = 0.25
"""What a trial's may take, by :func:`_answer_seconds`: no clock, so that the same trial looks at the same rows."""
LEAST_ROWS, MOST_ROWS = 100, 500
"""Rows of all parts that are answered once for each column; with fewer, a mean rise of the loss says nothing."""
GROUPS = 100
"""Columns that are shuffled one by one; of more, neighbours are shuffled together and share what comes of it."""
LEAST = 1e-7
"""A probability is not counted as less, so that one sure mistake is not infinitely bad."""


class Importance:
    """Gathers the importance of columns over the parts of a trial."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._rises: defaultdict[str, float] = defaultdict(float)
        self._rows = 0
        self._different: set[int] = set()

    def look(self, bundle: Bundle, part: Part) -> None:
        """Shuffle the columns that one part's bundle reads, among rows that it did not train on.

        Under a holdout these are the rows for calibration, so that the ones a trial is chosen by choose no columns.
        """
        dataset = self._dataset
        names = [column.name for column in bundle.reads.features]
        size = -(-len(names) // GROUPS)
        groups = [names[start : start + size] for start in range(0, len(names), max(size, 1))]
        rows = self._some(part, bundle, len(groups))
        if len(names) < 2 or not len(rows) or dataset.task.problem is Problem.TAGGING:
            return
        split = dataset.rows.take(rows)
        before = _losses(dataset.task, split, bundle.answer(split.columns))
        order = np.random.default_rng([len(rows), 17]).permutation(len(rows))
        for group in groups:
            mixed: Columns = {**split.columns, **{name: split.columns[name][order] for name in group}}
            rise = _losses(dataset.task, split, bundle.answer(mixed)) - before
            for name in group:
                self._rises[name] += float(np.average(rise, weights=split.weights)) / len(group) * len(rows)
        self._rows += len(rows)
        self._different.update(split.rows.tolist())  # folds that are dealt again look at a row again

    def found(self) -> Mapping[str, float]:
        """Return the mean rise of the loss by column; empty where too few rows could be looked at."""
        if len(self._different) < LEAST_ROWS:
            return {}
        return {name: total / self._rows for name, total in self._rises.items() if math.isfinite(total)}

    def _some(self, part: Part, bundle: Bundle, groups: int) -> Ints:
        """Return the rows to look at, spread over those there are; none where the time is too short for enough."""
        partition = self._dataset.partition
        judged = np.setdiff1d(part.score, partition.validation, assume_unique=True)
        rows = judged if len(judged) else part.score
        whole = min(MOST_ROWS, int(SECONDS / _answer_seconds(bundle) / max(groups, 1)))
        if whole < LEAST_ROWS:
            return rows[:0]
        each = min(len(rows), -(-whole // len(partition.parts)))
        return rows[np.linspace(0, len(rows) - 1, each).astype(np.int64)]


def _answer_seconds(bundle: Bundle) -> float:
    """Return about what a row among many takes, by the size of a bundle: trees and weights are there to be passed.

    Measured: 10 to 20 microseconds for small models, some 30 more for each megabyte of trees.
    """
    return 1.5e-5 + 3e-5 * bundle.size_bytes / 1e6


def _losses(task: Task, split: Split, answer: Answer) -> Floats:
    """Return the loss of each row: log loss, or squared error over the target's variance."""
    if task.problem in NUMERIC:
        spread = float(np.nanvar(split.target)) or 1.0
        errors = (answer.scores - split.target.reshape(len(split), -1)) ** 2 / spread
        known = ~np.isnan(errors)
        return np.asarray(np.where(known, errors, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    told = answer.scores[np.arange(len(split)), split.target.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(told, LEAST)))
