"""Axes of a chart: from figures to pixels, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps figures from ``low`` to ``high`` on pixels from ``start`` to ``end``; logarithmic where ``log``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a figure, kept inside the axis."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, self._kept(value)))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether a figure is on the axis."""
        return self.low <= value <= self.high

    def ticks(self, most: int) -> tuple[float, ...]:
        """Return at most so many round figures on the axis.

        Examples
        --------
        >>> Scale(0.73, 0.86, 0, 100).ticks(5)
        (0.75, 0.8, 0.85)
        >>> Scale(0.03, 3.0, 0, 100, log=True).ticks(6)
        (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
        """
        return self._decades(most) if self.log else self._steps(most)

    def _kept(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def _steps(self, most: int) -> tuple[float, ...]:
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * m for m in (1, 2, 2.5, 5, 10, 20) if power * m >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(k * step, 12) for k in range(first, last + 1))

    def _decades(self, most: int) -> tuple[float, ...]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [round(m * 10.0**k, 12) for k in range(first, last + 1) for m in steps]
            inside = tuple(v for v in found if self.holds(v))
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]


def linear(values: Sequence[float], start: float, end: float) -> Scale:
    """Return an axis that holds all values with a little room."""
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or max(abs(high) * 0.05, 1e-9)
    return Scale(low - room, high + room, start, end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a logarithmic axis that holds all values with room, and spans at least a factor of four."""
    low, high = min(values), max(values)
    widen = max(1.25, math.sqrt(4 / (high / low)))
    return Scale(low / widen, high * widen, start, end, log=True)
