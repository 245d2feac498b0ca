"""Bags: one model for each fold of the training rows, trained on the others, and the mean of their scores."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.contracts import Artefact, Columns, Fitted, Floats, Ints
from steelyard.search.cutting import cut_folds
from steelyard.search.fitting import Refused, Trainer, cut_short
from steelyard.search.making import OutOfTime
from steelyard.search.meter import JobMeter
from steelyard.units import Seconds


@dataclass(slots=True)
class Bagged:
    """Models of one kind as one: the mean of their scores.

    It has no rounds of its own: each model stops by its fold, at a refit too.
    """

    members: tuple[Fitted, ...]
    rounds: int | None = None

    def scores(self, columns: Columns) -> Floats:
        """Return the mean of the members' own scores."""
        return np.asarray(np.mean([member.scores(columns) for member in self.members], axis=0))

    def export(self) -> Artefact:
        """Return the members' graphs as one."""
        from steelyard.learners._merge import mean_of  # noqa: PLC0415 - the core install opens runs too, without onnx

        return mean_of([member.export() for member in self.members])


def bag(trainer: Trainer, rows: Ints, folds: int) -> Bagged:
    """Train a model on all folds but one, for each of them.

    Raises
    ------
    Refused
        If the rows cannot be told apart into two folds.
    OutOfTime
        If the deadline cut one of the trainings short: fewer models, or lesser ones, are another recipe.
    """
    cut = cut_folds(trainer.bench.dataset, rows, folds, trainer.recipe.seed)
    if len(cut) < 2:
        raise Refused("bag needs rows of two groups or two times at least; leave it out: `levers: {without: [bag]}`.")
    members = []
    for number, held in enumerate(cut):
        meter = _Share(trainer.bench.meter, len(cut) - number, first=number == 0)
        if meter.remaining() <= 0:
            raise OutOfTime
        kept = np.setdiff1d(rows, held, assume_unique=True)
        fitted = trainer.fit(kept, held if trainer.stops_early else None, meter=meter)
        if cut_short(fitted):
            raise OutOfTime
        members.append(fitted)
    return Bagged(tuple(members))


class _Share:
    """The meter of one of several trainings: an equal share of the time left, and reports of the first alone.

    One report a step is what curves are compared by; the later folds go on or stop by the clock.
    """

    def __init__(self, meter: JobMeter, trainings: int, *, first: bool) -> None:
        self._meter, self._first = meter, first
        self._end = time.monotonic() + meter.remaining() / trainings

    def report(self, step: int, value: float) -> bool:
        """Pass the first training's values on; tell whether there is time to go on."""
        worth = self._meter.report(step, value) if self._first else True
        return worth and self.remaining() > 0

    def remaining(self) -> Seconds:
        """Return the time left for this training."""
        return Seconds(min(self._end - time.monotonic(), self._meter.remaining()))

    def note(self, sentence: str) -> None:
        """Pass a sentence on."""
        self._meter.note(sentence)

    def show(self, step: int, loss: float) -> None:
        """Pass the first training's loss on."""
        if self._first:
            self._meter.show(step, loss)

    def place(self) -> Path | None:
        """Pass on where this training may keep what it needs to go on."""
        return self._meter.place()
