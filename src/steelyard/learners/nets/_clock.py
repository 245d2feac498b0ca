"""How much of a course there is time for."""

from __future__ import annotations

import math
import time

from steelyard.contracts import Meter

KEPT_BACK = 0.05
"""Share of the time that is kept for exporting and scoring."""
FIRST, ENOUGH = 2, 8
"""Steps whose time says nothing, for what is done once in them; and after how many a pace is believed."""


class Clock:
    """Tells how many more steps and epochs fit in."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, time.monotonic()
        left = meter.remaining()
        self._reserve = KEPT_BACK * left if math.isfinite(left) else 0.0
        self._steps, self._paced = 0, self._start

    def stepped(self) -> None:
        """Take note of a step."""
        self._steps += 1
        if self._steps == FIRST:
            self._paced = time.monotonic()

    def steps_left(self, planned: int) -> int:
        """Return how many of the steps to come fit in, going by those that were taken; 0 where time is over."""
        left = self._meter.remaining() - self._reserve
        if left <= 0:
            return 0
        if math.isinf(left) or self._steps < ENOUGH:
            return planned
        each = (time.monotonic() - self._paced) / (self._steps - FIRST)
        return planned if each * planned <= left else int(left / each)

    def epochs_left(self, done: int) -> int:
        """Return how many more fit in, going by the ``done`` ones that this process did."""
        left = self._meter.remaining() - self._reserve
        if math.isinf(left):
            return 2**31
        each = (time.monotonic() - self._start) / done
        return max(0, int(left / each))
