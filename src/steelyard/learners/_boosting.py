"""The boosting loop: rounds until the validation loss stops falling, the meter says stop, or time runs out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.rules import answer_of
from steelyard.contracts import Floats, Meter, Problem, Split, Task
from steelyard.tasks import metric

MOST_ROUNDS = 2000
PATIENCE = 50
"""Rounds without a lower validation loss, after which the best round is kept."""
EVERY = 10
"""Rounds between two reports to the meter."""
UNWATCHED_ROUNDS = 100
"""Rounds where neither validation rows nor a number of rounds are given."""
RESERVE = 0.1
"""Share of the time spent so far that is kept for the export."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Unit of a regression's target while training, so that sums in float32 lose nothing."""

    centre: float = 0.0
    spread: float = 1.0

    def scores(self, raw: NDArray[Any], task: Task) -> Floats:
        """Return scores, shape (n, width), of what LightGBM predicts."""
        raw = np.asarray(raw, np.float64)
        match task.problem:
            case Problem.REGRESSION:
                return raw.reshape(-1, 1) * self.spread + self.centre
            case Problem.BINARY:
                return np.column_stack([1 - raw, raw])
        return raw.reshape(len(raw), -1)


@dataclass(slots=True)
class Watch:
    """Follows the loss and the aim on validation rows, and knows the best round so far."""

    task: Task
    valid: Split
    scale: Scale
    meter: Meter
    best: int = 0
    loss: float = math.inf
    _seen: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    def go_on(self, booster: lightgbm.Booster, step: int) -> bool:
        """Look at the model after ``step`` rounds; report every few rounds; tell whether to go on."""
        loss = booster.eval_valid()[0][2]
        if loss < self.loss:
            self.best, self.loss = step, loss
        if step - self.best >= PATIENCE:
            return False
        return step % EVERY > 0 or self._report(booster, step)

    def _report(self, booster: lightgbm.Booster, step: int) -> bool:
        booster.eval_valid(feval=self._keep)
        aim = metric(self.task.aim)
        answer = answer_of(self.task, self.scale.scores(self._seen, self.task))
        value = aim.higher_is_better(aim.measure(self.task, self.valid.target, answer, self.valid.weights))
        return math.isnan(value) or self.meter.report(step, value)

    def _keep(self, predicted: NDArray[Any], _: lightgbm.Dataset) -> tuple[str, float, bool]:
        """Catch LightGBM's running predictions, which it shows to custom metrics alone."""
        self._seen = predicted.copy()
        return "seen", 0.0, True


def boost(booster: lightgbm.Booster, *, rounds: int | None, watch: Watch | None, meter: Meter) -> tuple[int, bool]:
    """Add rounds to a booster, and return how many of them count, and whether the deadline cut them short.

    With ``rounds`` exactly so many, fewer only where the deadline or the data end; with a ``watch`` as many as
    lower the validation loss.
    """
    started = time.monotonic()
    wanted = rounds if rounds is not None else MOST_ROUNDS if watch else UNWATCHED_ROUNDS
    for step in range(1, wanted + 1):
        exhausted = booster.update()
        if watch is not None and not watch.go_on(booster, step):
            return max(watch.best, 1), meter.remaining() <= 0
        if exhausted:
            break
        if meter.remaining() <= RESERVE * (time.monotonic() - started) and step < wanted:
            meter.note(f"the deadline stopped the training after {step} of at most {wanted} rounds")
            return (max(watch.best, 1) if watch else step), True
    return (max(watch.best, 1) if watch else step), False
