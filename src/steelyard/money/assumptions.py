"""Assumptions as inputs: their centre, their 5% and 95% points, and as many draws as are asked for."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats
from steelyard.money.returns import Band
from steelyard.spec import Spread

ENDS = (0.05, 0.95)
"""Where the bars of a tornado end."""


def draw(spread: Spread, random: np.random.Generator, count: int) -> Floats:
    """Return draws from an assumption, shape (count,); beyond its bounds they count as the bound."""
    if spread.shape == "normal":
        drawn = random.normal(spread.middle, spread.sd, count)
    elif spread.shape == "triangular":
        drawn = random.triangular(spread.low, spread.middle, spread.high, count)
    else:
        drawn = np.full(count, spread.middle)
    return np.clip(drawn, spread.least, spread.most)


def band(name: str, unit: str, spread: Spread, random: np.random.Generator, count: int) -> Band:
    """Return an assumption as an input."""
    low, high = (spread.at(share) for share in ENDS)
    return Band(name=name, unit=unit, centre=spread.centre, low=low, high=high, draws=draw(spread, random, count))


def resampled(name: str, unit: str, centre: float, draws: Floats) -> Band:
    """Return a measured figure as an input.

    Its ends hold the figure itself, which for a skewed one the 5% and 95% points alone need not.
    """
    low, high = (float(end) for end in np.quantile(draws, ENDS))
    return Band(name=name, unit=unit, centre=centre, low=min(low, centre), high=max(high, centre), draws=draws)


def said(spread: Spread, unit: str) -> str:
    """Return an assumption for people.

    Examples
    --------
    >>> said(Spread.exact(0.08), "a year"), said(Spread.triangular(1, 2, 4), "requests/s")
    ('0.08 a year', '1 to 4 requests/s, most likely 2')
    """
    after = f" {unit}" if unit else ""
    if spread.shape == "normal":
        return f"{spread.middle:,.6g}{after}, standard deviation {spread.sd:,.6g}"
    if spread.shape == "triangular":
        return f"{spread.low:,.6g} to {spread.high:,.6g}{after}, most likely {spread.middle:,.6g}"
    return f"{spread.middle:,.6g}{after}"
