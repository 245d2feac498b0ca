"""Net present value, return on investment, payback: textbook arithmetic on a model's months.

Money that comes and goes every month does so at the end of the month; what is paid at the start is not discounted. A
rate of interest is an effective one a year, compounded monthly: money due in ``t`` months is worth
``(1 + rate) ** (-t / 12)`` of its amount today. A horizon that ends within a month counts that share of the month's
money at its end. Retraining is paid whenever its months have gone by and the horizon has not ended.

References
----------
.. [1] Brealey, Myers, Allen. Principles of Corporate Finance, 13th ed., McGraw-Hill 2020: chapter 2 (present values,
   annuities) and chapter 5 (net present value, payback).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Floats

STEPS = 200
"""Points between the least and the most traffic that are looked at for a change of sign."""
HALVINGS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """The money of one model over a horizon. Each field is a number, or one for each draw, shape (draws,).

    Attributes
    ----------
    months
        The horizon, months; a single number.
    rate
        Interest a year, as a share.
    upfront
        Paid at the start.
    value
        What the decisions of a month bring.
    serving, upkeep, labels
        What a month costs.
    retraining
        What training anew costs each time, every ``every`` months; ``every`` is a single number, infinite: never.
    """

    months: float
    rate: Any = 0.0
    upfront: Any = 0.0
    value: Any = 0.0
    serving: Any = 0.0
    upkeep: Any = 0.0
    labels: Any = 0.0
    retraining: Any = 0.0
    every: float = math.inf

    @property
    def month(self) -> Any:
        """What a month leaves, retraining aside."""
        return self.value - self.serving - self.upkeep - self.labels

    @property
    def costs(self) -> Any:
        """Everything that is paid, at its present value."""
        monthly = self.serving + self.upkeep + self.labels
        anew = self.retraining * recurring(self.rate, self.months, self.every)
        return self.upfront + monthly * annuity(self.rate, self.months) + anew

    @property
    def npv(self) -> Any:
        """Net present value: what the decisions bring less everything that is paid, all at present values.

        Examples
        --------
        >>> Flows(months=12, upfront=100, value=30, serving=10).npv
        140.0
        >>> round(Flows(months=12, rate=0.10, upfront=100, value=30, serving=10).npv, 2)
        128.01
        """
        return self.value * annuity(self.rate, self.months) - self.costs

    @property
    def roi(self) -> Any:
        """Return on investment: net present value as a share of the present value of all costs; NaN without costs."""
        costs = np.asarray(self.costs, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(costs > 0, self.npv / costs, math.nan)

    @property
    def payback(self) -> Any:
        """Months until what came in, undiscounted and evenly over each month, has paid for what went out.

        Infinite where that does not happen within the horizon; retraining on the way is paid for too.

        Examples
        --------
        >>> float(Flows(months=12, upfront=100, value=30, serving=10).payback)
        5.0
        >>> float(Flows(months=12, upfront=100, value=30, serving=10, retraining=20, every=3).payback)
        6.0
        >>> float(Flows(months=12, upfront=100, value=1).payback)
        inf
        """
        month, upfront, price = (np.asarray(v, np.float64) for v in (self.month, self.upfront, self.retraining))
        with np.errstate(all="ignore"):
            alone = np.where(upfront > 0, upfront / month, 0.0)
            done = np.zeros_like(alone)  # retrainings before it: the fewest after which the money is back in time
            if math.isfinite(self.every):
                gains = self.every - price / month
                done = np.where(gains > 0, np.ceil((alone - self.every) / gains - 1e-9), 0.0).clip(0.0)
            due = alone + np.where(done > 0, done * price / month, 0.0)
            there = (month > 0) & (due <= self.months) & (due <= (done + 1) * self.every * (1 + 1e-9))
        return np.where(there, due, math.inf)

    def needed(self) -> Any:
        """Return what the decisions of a month would have to bring for a net present value of zero."""
        return self.costs / annuity(self.rate, self.months)


def discount(rate: Any, months: Any) -> Any:
    """Return what money due in some months is worth today, as a share, at an effective rate a year.

    Examples
    --------
    >>> discount(0.21, 6), discount(0.0, 120)
    (0.9090909090909091, 1.0)
    """
    return (1.0 + rate) ** (-months / 12.0)


def annuity(rate: Any, months: float) -> Any:
    """Return the present value of 1 at the end of every month; the last month counts by its share of the horizon.

    Examples
    --------
    >>> annuity(0.0, 2.5), round(annuity(0.10, 12), 4)
    (2.5, 11.4005)
    """
    whole = math.floor(months)
    return _series(rate, 1.0, whole) + (months - whole) * discount(rate, months)


def recurring(rate: Any, months: float, every: float) -> Any:
    """Return the present value of 1 after each ``every`` months that lie before the end of the horizon.

    Examples
    --------
    >>> recurring(0.0, 12, 3), recurring(0.0, 13, 3), recurring(0.0, 12, math.inf)
    (3.0, 4.0, 0.0)
    """
    if not math.isfinite(every):
        return 0.0
    return _series(rate, every, max(0, math.ceil(months / every - 1e-9) - 1))


def _series(rate: Any, every: float, times: int) -> Any:
    """Return the present value of 1 after each ``every`` months, a number of times: a geometric series."""
    step = discount(rate, every)
    short = np.abs(1.0 - step) < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(short, float(times), step * (1.0 - step**times) / np.where(short, 1.0, 1.0 - step))
    return total if np.ndim(rate) else float(total)


def monthly(flows: Flows) -> list[dict[str, float]]:
    """Return month by month what comes and goes, of flows that are single numbers; row 0 is the start.

    Each row holds ``month``, ``value``, ``cost``, ``net``, ``cumulative`` (undiscounted) and ``discounted`` (the net at
    present value, whose sum is the net present value).
    """
    paid = float(flows.upfront)
    rows = [{"month": 0.0, "value": 0.0, "cost": paid, "net": -paid, "cumulative": -paid, "discounted": -paid}]
    total, month = -paid, 0.0
    while month < flows.months - 1e-9:
        before, month = month, min(month + 1, flows.months)
        share = month - before
        anew = _paid_anew(flows, before, month)
        value = share * flows.value
        cost = share * (flows.serving + flows.upkeep + flows.labels) + len(anew) * flows.retraining
        total += value - cost
        regular = value - cost + len(anew) * flows.retraining
        worth = regular * discount(flows.rate, month) - sum(flows.retraining * discount(flows.rate, t) for t in anew)
        rows.append(
            {
                "month": month,
                "value": float(value),
                "cost": float(cost),
                "net": float(value - cost),
                "cumulative": float(total),
                "discounted": float(worth),
            }
        )
    return rows


def _paid_anew(flows: Flows, before: float, until: float) -> list[float]:
    """Return when a model is trained anew after ``before`` and not after ``until``, months from the start."""
    if not math.isfinite(flows.every):
        return []
    first, last = math.floor(before / flows.every + 1e-9) + 1, math.floor(until / flows.every + 1e-9)
    return [k * flows.every for k in range(first, last + 1) if k * flows.every < flows.months * (1 - 1e-12)]


def break_even(gain: Callable[[float], float], most: float) -> float | None:
    """Return the least traffic, requests a second, from which on a net present value is no longer below zero.

    The gain may fall in steps, where another machine is needed, and rises in between: where it crosses zero upwards it
    is a root. Traffic from ``most / 1e9`` to ``most`` is looked at.

    Parameters
    ----------
    gain
        Net present value by mean requests a second.
    most
        The highest traffic that is looked at, above 0.

    Returns
    -------
    float or None
        0 where the least traffic pays already; ``None`` where none does.

    Examples
    --------
    >>> round(break_even(lambda rps: 40 * rps - 100, 1000), 6)
    2.5
    >>> break_even(lambda rps: -rps, 1000) is None
    True
    """
    points = np.geomspace(most * 1e-9, most, STEPS)
    if gain(float(points[0])) >= 0:
        return 0.0
    for low, high in itertools.pairwise(points):
        if gain(float(high)) >= 0:
            return _bisect(gain, float(low), float(high))
    return None


def _bisect(gain: Callable[[float], float], low: float, high: float) -> float:
    """Return where the gain, below zero at ``low``, crosses zero."""
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if not low < middle < high:
            break
        low, high = (low, middle) if gain(middle) >= 0 else (middle, high)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One uncertain input: its centre, its 5% and 95% points, and a draw for each joint resample."""

    name: str
    unit: str
    centre: float
    low: float
    high: float
    draws: Floats

    @property
    def certain(self) -> bool:
        """Whether it is but one figure."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a tornado: the net present value with one input at its 5% and at its 95% point."""

    band: Band
    at_low: float
    at_high: float

    @property
    def span(self) -> float:
        """How far the input moves the answer."""
        return abs(self.at_high - self.at_low)


def tornado(bands: dict[str, Band], answer: Callable[[dict[str, float]], float]) -> list[Bar]:
    """Return one bar for each uncertain input, the one that moves the answer most first; others at their centre.

    Parameters
    ----------
    bands
        Every input by its key.
    answer
        The net present value, by the inputs.
    """
    centre = {key: band.centre for key, band in bands.items()}
    bars = [
        Bar(band, answer({**centre, key: band.low}), answer({**centre, key: band.high}))
        for key, band in bands.items()
        if not band.certain
    ]
    return sorted(bars, key=lambda bar: -bar.span)
