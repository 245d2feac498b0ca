"""How much of a course there is time for."""

from __future__ import annotations

import math
import time

from steelyard.contracts import Meter

KEPT_BACK = 0.05
"""Share of the time that is kept for exporting."""
SCORING = 0.25
"""Epochs' time that is kept beside it for scoring: a forward pass, row by row, over a third as many rows or fewer."""
MOST_KEPT = 0.5
"""Share of the time that is kept for both at most."""
FIRST, ENOUGH = 2, 8
"""Steps whose time says nothing, for what is done once in them; and after how many a pace is believed."""


class Clock:
    """Tells how many more steps and epochs fit in."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, time.monotonic()
        left = meter.remaining()
        self._whole = float(left) if math.isfinite(left) else 0.0
        self._steps, self._paced = 0, self._start

    def stepped(self) -> None:
        """Take note of a step."""
        self._steps += 1
        if self._steps == FIRST:
            self._paced = time.monotonic()

    def steps_left(self, planned: int, of_an_epoch: int) -> int:
        """Return how many of the steps to come fit in, going by those that were taken; 0 where time is over."""
        if self._steps < ENOUGH:
            return planned if self._left(0.0) > 0 else 0
        each = (time.monotonic() - self._paced) / (self._steps - FIRST)
        left = self._left(each * of_an_epoch)
        return planned if each * planned <= left else max(0, int(left / each))

    def epochs_left(self, done: int) -> int:
        """Return how many more fit in, going by the ``done`` ones that this process did."""
        each = (time.monotonic() - self._start) / done
        left = self._left(each)
        return 2**31 if math.isinf(left) else max(0, int(left / each))

    def _left(self, epoch: float) -> float:
        """Return the seconds left for training, where an epoch takes so many."""
        kept = min(KEPT_BACK * self._whole + SCORING * epoch, MOST_KEPT * self._whole)
        return float(self._meter.remaining()) - kept
