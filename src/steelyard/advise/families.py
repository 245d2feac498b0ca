"""Shapes of learning curves: how the error goes on from where it stands, in five families of functions.

Each shape gives the error at ``x`` times the rows that are there, as a multiple of the error with those rows, so it is
1 at ``x = 1``. The families are those that were compared on many curves by Viering and Loog, "The Shape of Learning
Curves: a Review" (arXiv 2103.10948), and by Mahmood et al., "How Much More Data Do I Need?" (CVPR 2022, arXiv
2207.01725); their parameters lie on grids, so that a fit is a weighing of finitely many shapes without local optima.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from steelyard.contracts import Floats

Rest = Callable[[Floats, float, float], Floats]
"""From rows as multiples, and two parameters, to the part of the error that more rows can take away, up to a factor."""

FLOORS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97)
"""Shares of the present error that no number of rows takes away."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One member of a family: ``floor`` of the error stays, the rest falls as the family says."""

    family: str
    floor: float
    first: float
    second: float

    def at(self, x: Floats) -> Floats:
        """Return the error at some multiples of the rows, as multiples of the error at 1.

        Examples
        --------
        >>> Shape("power", 0.5, 1.0, 0.0).at(np.array([0.5, 1.0, 2.0])).tolist()
        [1.5, 1.0, 0.75]
        """
        rest = FAMILIES[self.family]
        falls = rest(np.asarray(x, np.float64), self.first, self.second)
        share: Floats = falls / rest(np.ones(1), self.first, self.second)
        return np.maximum(0.0, self.floor + (1.0 - self.floor) * share)


def _power(x: Floats, a: float, _: float) -> Floats:
    return np.asarray(x**-a)


def _logarithm(x: Floats, a: float, _: float) -> Floats:
    return np.asarray(1.0 - a * np.log(x))


def _weibull(x: Floats, a: float, b: float) -> Floats:
    return np.asarray(np.exp(-a * (x**b - 1.0)))


def _mmf(x: Floats, a: float, b: float) -> Floats:
    return np.asarray(1.0 / (b + x**a))


def _arctan(x: Floats, a: float, b: float) -> Floats:
    return np.asarray(math.pi / 2 - np.arctan(a * x + b))


FAMILIES: dict[str, Rest] = {
    "power": _power,
    "logarithm": _logarithm,
    "weibull": _weibull,
    "mmf": _mmf,
    "arctan": _arctan,
}
"""Power law with and without offset, logarithm, exponential and Weibull, Morgan-Mercer-Flodin, arctangent."""


_ALONE = (
    *(("power", a, 0.0) for a in (0.0, *np.geomspace(0.01, 1.2, 16).tolist())),
    *(("logarithm", a, 0.0) for a in (0.0, *np.geomspace(0.005, 0.4, 16).tolist())),
)
"""Families and parameters without an offset."""
_OFFSET = (
    *(("power", a, 0.0) for a in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)),
    *(("weibull", a, 1.0) for a in (0.3, 1.0, 3.0)),
    *(("weibull", a, 0.5) for a in (0.5, 1.5, 4.0)),
    *(("weibull", a, 0.25) for a in (2.0, 6.0)),
    *(("mmf", a, b) for a in (0.5, 1.0, 1.5) for b in (0.1, 0.5, 2.0)),
    *(("arctan", a, b) for a in (0.5, 2.0, 8.0) for b in (0.0, 1.0)),
)
"""Families and parameters that are taken with every offset."""


def _grid() -> Iterator[Shape]:
    for family, a, b in _ALONE:
        yield Shape(family, 0.0, a, b)
    for floor in FLOORS:
        for family, a, b in _OFFSET:
            if floor > 0 or family != "power":
                yield Shape(family, floor, a, b)


@cache
def shapes() -> tuple[Shape, ...]:
    """Return every shape of every family, offsets included."""
    return tuple(_grid())
