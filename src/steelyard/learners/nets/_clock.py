"""How much of a course there is time for."""

from __future__ import annotations

import math
import time

from steelyard.contracts import Meter

KEPT_BACK = 0.05
"""Share of the time that is kept for exporting and scoring."""


class Clock:
    """Tells how many more epochs fit in."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, time.monotonic()
        left = meter.remaining()
        self._reserve = KEPT_BACK * left if math.isfinite(left) else 0.0

    def over(self) -> bool:
        """Whether what is left is needed for exporting."""
        return self._meter.remaining() <= self._reserve

    def epochs_left(self, done: int) -> int:
        """Return how many more fit in, going by the ``done`` ones that this process did."""
        left = self._meter.remaining() - self._reserve
        if math.isinf(left):
            return 2**31
        each = (time.monotonic() - self._start) / done
        return max(0, int(left / each))
