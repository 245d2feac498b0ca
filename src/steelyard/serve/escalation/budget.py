"""How many rows may still be escalated: a share of all rows over a window, and what money for an hour pays."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

_SLOTS = 60
_HOUR = 3600.0


class Window:
    """Sums over the last seconds; what is older leaves a sixtieth of the window at a time.

    Examples
    --------
    >>> window = Window(60.0)
    >>> window.add(100, 5, now=0.0)
    >>> window.at(59.0), window.at(61.0)
    ((100, 5), (0, 0))
    """

    __slots__ = ("_rows", "_slot", "_slots", "_taken")

    def __init__(self, seconds: float) -> None:
        self._slot = seconds / _SLOTS
        self._slots: deque[list[int]] = deque()
        self._rows = self._taken = 0

    def add(self, rows: int, taken: int, *, now: float) -> None:
        """Count rows, and those of them that were taken."""
        self.at(now)
        slot = int(now / self._slot)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append([slot, 0, 0])
        self._slots[-1][1] += rows
        self._slots[-1][2] += taken
        self._rows += rows
        self._taken += taken

    def at(self, now: float) -> tuple[int, int]:
        """Return the rows and the taken ones within the window that ends now."""
        oldest = int(now / self._slot) - _SLOTS
        while self._slots and self._slots[0][0] <= oldest:
            _, rows, taken = self._slots.popleft()
            self._rows -= rows
            self._taken -= taken
        return self._rows, self._taken


class Allowance:
    """Grants rows within a budget; of this process alone.

    Parameters
    ----------
    share
        Of all rows, over the window; ``None``: any.
    seconds
        Length of the window.
    per_hour
        Most rows in an hour; ``None``: any number.
    """

    __slots__ = ("_clock", "_hour", "_per_hour", "_share", "_window")

    def __init__(
        self,
        *,
        share: float | None,
        seconds: float,
        per_hour: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share, self._per_hour, self._clock = share, per_hour, clock
        self._window, self._hour = Window(seconds), Window(_HOUR)

    def take(self, rows: int, unsure: int) -> tuple[int, str]:
        """Return how many of the unsure rows of a request may go on, and what held the others back.

        A window that begins grants the first row at once: shares of few rows are below one.
        """
        now, granted, cause = self._clock(), unsure, ""
        if self._share is not None:
            seen, taken = self._window.at(now)
            room = math.floor(self._share * (seen + rows)) - taken
            room = max(room, 1 - taken) if self._share > 0 else 0
            if room < granted:
                granted, cause = max(0, room), "budget_share"
        if self._per_hour is not None:
            room = self._per_hour - self._hour.at(now)[1]
            if room < granted:
                granted, cause = max(0, room), "budget_money"
        if self._share is not None:
            self._window.add(rows, granted, now=now)
        if self._per_hour is not None and granted:
            self._hour.add(0, granted, now=now)
        return granted, cause

    def give_back(self, rows: int) -> None:
        """Return rows that were granted and cost nothing after all."""
        now = self._clock()
        if rows and self._share is not None:
            self._window.add(0, -rows, now=now)
        if rows and self._per_hour is not None:
            self._hour.add(0, -rows, now=now)
