"""A circuit breaker: a server that fails again and again is left alone for a while, then tried with one call.

The pattern is Nygard's (Release It!, 2007). The pause doubles from one failed try to the next, up to a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5
"""In a row, after which nothing is sent for a while."""
FIRST, LONGEST = 1.0, 30.0
"""Of the pauses, seconds."""


class Breaker:
    """Says whether a call may be made now; is told how each one ended.

    Examples
    --------
    >>> breaker = Breaker(clock=lambda: 0.0)
    >>> for _ in range(FAILURES):
    ...     breaker.ended(well=False)
    >>> breaker.may_call(), breaker.is_open
    (False, True)
    """

    __slots__ = ("_clock", "_failures", "_is_trying", "_pause", "_until")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures, self._pause, self._until = 0, FIRST, 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back, but for one at a time that tries."""
        return self._failures >= FAILURES

    def may_call(self) -> bool:
        """Tell whether to call now; a yes must be followed by :meth:`ended`."""
        if not self.is_open:
            return True
        if self._is_trying or self._clock() < self._until:
            return False
        self._is_trying = True
        return True

    def ended(self, *, well: bool) -> None:
        """Take in how a call ended."""
        if well:
            self._failures, self._pause, self._is_trying = 0, FIRST, False
            return
        was_open, self._failures = self.is_open, self._failures + 1
        if self.is_open and (self._is_trying or not was_open):
            self._until = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST)
            self._is_trying = False
