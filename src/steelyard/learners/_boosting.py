"""When boosting stops: the validation loss falls no further, the meter says stop, or time runs out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.rules import answer_of
from steelyard.contracts import Floats, Meter, Problem, Split, Task
from steelyard.learners._graph import Graph
from steelyard.learners._solve import scale_of
from steelyard.tasks import metric

EVERY = 10
"""Rounds between two reports to the meter."""
RESERVE = 0.1
"""Share of the time spent so far that is kept for the export."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Unit of a regression's target while training, so that sums in float32 lose nothing."""

    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, train: Split, task: Task) -> Scale:
        """Return mean and standard deviation of a regression's target; nothing is scaled for classes."""
        return cls(*scale_of(train)) if task.problem is Problem.REGRESSION else cls()

    def target(self, split: Split) -> NDArray[Any]:
        """Return the target of some rows in this unit."""
        return np.asarray((split.target - self.centre) / self.spread)

    def scores(self, raw: NDArray[Any], task: Task) -> Floats:
        """Return scores, shape (n, width), of probabilities or scaled values."""
        raw = np.asarray(raw, np.float64)
        match task.problem:
            case Problem.REGRESSION:
                return raw.reshape(-1, 1) * self.spread + self.centre
            case Problem.BINARY:
                return np.column_stack([1 - raw, raw])
        return raw.reshape(len(raw), -1)

    def undo(self, graph: Graph, sums: str, task: Task) -> str:
        """Add the nodes that bring a regression's sums back to the target's unit."""
        if task.problem is not Problem.REGRESSION:
            return sums
        spread, centre = (graph.constant(np.array(x, np.float32)) for x in (self.spread, self.centre))
        return graph.add("Add", graph.add("Mul", sums, spread), centre)


@dataclass(slots=True)
class Watch:
    """Follows the loss and the aim on validation rows, and knows the best round so far.

    ``patience`` is the number of rounds without a lower loss after which the best round is kept.
    """

    task: Task
    valid: Split
    meter: Meter
    patience: int
    best: int = 0
    loss: float = math.inf

    def go_on(self, step: int, loss: float, scores: Callable[[], Floats]) -> bool:
        """Take note of the loss after ``step`` rounds; report the aim every few; tell whether to go on."""
        if loss < self.loss:
            self.best, self.loss = step, loss
        if step - self.best >= self.patience:
            return False
        return step % EVERY > 0 or self._report(step, scores())

    def _report(self, step: int, scores: Floats) -> bool:
        aim = metric(self.task.aim)
        answer = answer_of(self.task, scores, self.valid.amounts)
        value = aim.higher_is_better(aim.measure(self.task, self.valid.target, answer, self.valid.weights))
        return math.isnan(value) or self.meter.report(step, value)


@dataclass(slots=True)
class Clock:
    """Tells when so little time is left that a training must end for its model to be exported."""

    meter: Meter
    wanted: int
    started: float = field(default_factory=time.monotonic)
    out: bool = False

    def late(self, step: int) -> bool:
        """Tell whether to stop after ``step`` of the wanted rounds; a stop before the last is noted."""
        spent = time.monotonic() - self.started
        if step < self.wanted and self.meter.remaining() <= RESERVE * spent:
            self.meter.note(f"the deadline stopped the training after {step} of at most {self.wanted} rounds")
            self.out = True
        return self.out
