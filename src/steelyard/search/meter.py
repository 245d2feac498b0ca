"""How a job knows its time and its rivals: the meter that learners and levers report to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from steelyard.units import Seconds

PART_STEP = 1_000_000
"""Steps from here on count finished parts (folds); below, rounds within the first part."""

FIRST = 0.75
"""Share of an equal part of the time that the first of several parts gets."""


class JobMeter:
    """The meter of one job.

    It answers "stop" once the deadline has passed, or once the best value reported so far lies below the hurdle of
    its step.
    Curves are kept of the first part only, then one point a part, so that trials are compared like with like.
    """

    def __init__(
        self,
        seconds: Seconds,
        hurdles: Mapping[int, float] | None = None,
        tell: Callable[[int, float], None] | None = None,
        places: Path | None = None,
        show: Callable[[int, float], None] | None = None,
    ) -> None:
        self._end = time.monotonic() + seconds
        self._part_end = math.inf
        self._hurdles = dict(hurdles or {})
        self._tell, self._show = tell, show
        self._places, self._trainings = places, 0
        self._part = 0
        self._best = -math.inf
        self._scores: list[float] = []
        self.curve: list[tuple[int, float]] = []
        self.notes: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.pruned = False
        self.late = False

    def report(self, step: int, value: float) -> bool:
        """Take a value of the aim (higher better) after a step; return whether to go on."""
        if self._part == 0 and math.isfinite(value):
            self._best = max(self._best, value)
            self._keep(step, value, judged=self._best)
        if self.remaining() <= 0:
            self.late = True
        return not (self.pruned or self.late)

    def part_done(self, score: float) -> bool:
        """Take the score of a finished part; return whether the next one is worth starting."""
        self._part += 1
        self._scores.append(score)
        mean = math.fsum(self._scores) / len(self._scores)
        if math.isfinite(mean):
            self._keep(PART_STEP + self._part, mean, judged=mean)
        return not self.pruned

    def share_out(self, parts: int) -> None:
        """Give the part that begins now its share of the time left, ``parts`` being those still to come.

        The first of several gets a little less: the others repeat its rounds on more rows, those that it sets aside
        for early stopping among them, and must not be late.
        """
        weight = FIRST / parts if self._part == 0 and parts > 1 else 1 / parts
        self._part_end = time.monotonic() + (self._end - time.monotonic()) * weight

    def remaining(self) -> Seconds:
        """Return the time left for the part in progress."""
        return Seconds(min(self._end, self._part_end) - time.monotonic())

    def note(self, sentence: str) -> None:
        """Keep a sentence for the ledger, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file for the part in progress, under its number: ``part-0-changes.csv``."""
        self.kept[f"part-{self._part}-{name}"] = content

    def show(self, step: int, loss: float) -> None:
        """Show the training loss of the first part; it is compared with nothing, so nothing keeps it."""
        if self._part == 0 and self._show is not None and math.isfinite(loss):
            self._show(step, loss)

    def place(self) -> Path | None:
        """Return where the training that begins now may keep what it needs to go on after it was killed."""
        self._trainings += 1
        return None if self._places is None else self._places / str(self._trainings)

    def _keep(self, step: int, value: float, *, judged: float) -> None:
        self.curve.append((step, value))
        if self._tell is not None:
            self._tell(step, value)
        if judged < self._hurdles.get(step, -math.inf):
            self.pruned = True
