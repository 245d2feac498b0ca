"""Whether rows are escalated as often as calibration promised: a sequential test that may be looked at any time.

For each of a few rates outside the promised interval a bet is kept: by how much likelier that rate makes the rows since
any moment than the nearest rate inside does, summed over the moments (Shiryaev, Roberts). Within the promise no such
sum grows faster than by one a look on average, so their mean passes a threshold no sooner than after that many
looks on average, whatever the rate inside and however long one looks [1]_.

References
----------
.. [1] Shin, Ramdas, Rinaldo. E-detectors: a nonparametric framework for sequential change detection. The New England
   Journal of Statistics in Data Science 2024, arXiv 2203.03532.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Literal

Side = Literal["above", "below"]

PATIENCE = 1e8
"""Looks (requests) within the promise until a false alarm, on average at least."""
HOLDS = 600.0
"""Seconds for which an alarm is shown; it is logged again only after these."""
_ODDS = (1.3, 2.0, 5.0)
"""By how much the odds of a rate that is bet on differ from those of the end of the interval."""
_MOST_LOG = 40.0
_RECENT = 2000
_LOGGER = logging.getLogger("steelyard.serve")


class Watch:
    """Watches the share of rows that are unsure.

    Examples
    --------
    >>> watch = Watch(0.08, 0.12)
    >>> any(watch.saw(10, 1) for _ in range(2000))
    False
    >>> next(side for _ in range(2000) if (side := watch.saw(10, 2)))
    'above'
    """

    __slots__ = ("_bets", "_clock", "_last", "_promised", "_recent", "_sums", "alarms")

    def __init__(self, low: float, high: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._promised, self._clock = (low, high), clock
        self._bets: list[tuple[Side, float, float]] = [
            *(("above", *_bet(high, odds)) for odds in _ODDS if high < 1),
            *(("below", *_bet(low, 1 / odds)) for odds in _ODDS if low > 0),
        ]
        self._sums = [0.0] * len(self._bets)
        self._last = -math.inf
        self._recent = [0.0, 0.0]
        self.alarms: dict[Side, int] = {"above": 0, "below": 0}
        """How often the evidence passed the threshold; it is gathered anew after each time."""

    @property
    def is_alarmed(self) -> bool:
        """Whether there was an alarm in the last ten minutes."""
        return self._clock() - self._last < HOLDS

    def saw(self, rows: int, unsure: int) -> Side | None:
        """Take in the rows of a request; return on which side of the promise the rate is, once that is plain."""
        recent, sums = self._recent, self._sums
        if recent[0] > _RECENT:
            recent[:] = [recent[0] / 2, recent[1] / 2]
        recent[0] += rows
        recent[1] += unsure
        total = 0.0
        for place, (_, hit, miss) in enumerate(self._bets):
            grown = (sums[place] + 1.0) * math.exp(min(hit * unsure + miss * (rows - unsure), _MOST_LOG))
            sums[place] = grown
            total += grown
        if not sums or total < PATIENCE * len(sums):
            return None
        return self._alarm()

    def _alarm(self) -> Side:
        side = self._bets[max(range(len(self._sums)), key=self._sums.__getitem__)][0]
        self.alarms[side] += 1
        self._sums = [0.0] * len(self._bets)
        if not self.is_alarmed:
            rows, unsure = self._recent
            low, high = self._promised
            _LOGGER.warning(
                "escalation: %.1f%% of the last rows are unsure, %s the %.1f to %.1f%% that calibration promised: what "
                "is asked has changed; calibrate again with `steelyard escalate`",
                *(100 * unsure / rows, side, 100 * low, 100 * high),
            )
        self._last = self._clock()
        return side


def _bet(rate: float, odds: float) -> tuple[float, float]:
    """Return the logarithms of the likelihood ratio of an unsure row and of a sure one."""
    other = rate * odds / (1 - rate + rate * odds)
    return math.log(other / rate), math.log((1 - other) / (1 - rate))
