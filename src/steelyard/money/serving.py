"""What a million predictions cost: busy time alone, or whole machines that hold the latency target at the peak.

This is the price by which candidates are compared: rows one at a time, without HTTP, in closed form. What to rent for
the one that ships is worked out by :mod:`steelyard.money.capacity`, where a server answers at once what has gathered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steelyard.contracts import Weight
from steelyard.errors import SpecInvalid
from steelyard.money.prices import Prices
from steelyard.spec import Traffic
from steelyard.units import Estimate, How, Money

MILLION = 1_000_000
USUAL_LOAD = 0.7
"""Share of the time that a replica may be busy at the peak where no latency target decides it."""
_LN20 = math.log(20)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas of one bundle: each answers one row at a time on ``threads`` cores."""

    replicas: int
    threads: int
    load: float
    """Share of the time that one may be busy at the peak."""


def cost_per_million(
    weight: Weight,
    prices: Prices,
    traffic: Traffic | None = None,
    latency_p95_ms: float | None = None,
    collecting: Money | None = None,
) -> Estimate:
    """Return what a million predictions of single rows cost, in the currency of the prices.

    Without traffic it is the time that the cores are busy. With traffic it is the price of the replicas that
    the peak needs, idle hours included, spread over the month's mean traffic. What a row costs to collect comes on
    top of either.

    Parameters
    ----------
    weight : Weight
        What the bundle weighs; the mean latency of one row is the time that it keeps a replica busy.
    prices : Prices
        Where the price of a core-hour comes from.
    traffic : Traffic, optional
        Requests a second; a mean of zero counts as no traffic.
    latency_p95_ms : float, optional
        The latency to keep at the peak, ms, waiting included.
    collecting : Money, optional
        What the priced columns of one row cost to collect.

    Returns
    -------
    Estimate
        Per 1,000,000 predictions; its source says what was assumed.

    Raises
    ------
    SpecInvalid
        If collecting is in another currency than the prices.
    """
    pairs = list(zip(_ends(weight.busy), _ends(weight.p95), strict=True))
    core_hour = float(prices.core_hour.amount.amount)
    if traffic is None or traffic.mean_rps == 0:
        hours = [busy / 1000 / 3600 * weight.threads * MILLION for busy, _ in pairs]
        cores = _count(weight.threads, "core")
        source = f"busy time alone: {cores} for the mean time of one row; idle machines come on top"
    else:
        fleets = [_fleet(busy, p95, weight.threads, traffic, latency_p95_ms) for busy, p95 in pairs]
        hours = [f.replicas * f.threads / (traffic.mean_rps * 3600) * MILLION for f in fleets]
        source = _assumption(fleets[0], traffic, weight, latency_p95_ms)
    unit = f"{prices.currency} per 1,000,000 predictions"
    rows, source = _rows(collecting, prices), f"{source}; {prices.cite(prices.core_hour)}"
    if collecting is not None:
        source = f"{source}; collecting the priced columns of a row: {collecting.amount:f} {collecting.currency}"
    value, low, high = (h * core_hour + rows for h in (hours[0], min(hours), max(hours)))
    return Estimate(value, low, high, How.ESTIMATED, unit, source)


def _rows(collecting: Money | None, prices: Prices) -> float:
    """Return what collecting a million rows costs."""
    if collecting is None:
        return 0.0
    if collecting.currency != prices.currency:
        raise SpecInvalid(
            f"columns.price is in {collecting.currency}, but the prices in force are in {prices.currency}; write it in "
            f"{prices.currency}, or give `core_hour` in {collecting.currency} in a file that `prices:` names"
        )
    return float(collecting.amount * MILLION)


def fleet(weight: Weight, traffic: Traffic, latency_p95_ms: float | None = None) -> Fleet:
    """Return the replicas that the peak needs."""
    return _fleet(weight.busy.value, weight.p95.value, weight.threads, traffic, latency_p95_ms)


def busy_share(busy_ms: float, p95_ms: float, latency_p95_ms: float | None) -> float:
    """Return the share of the time that one replica may be busy at the peak.

    The wait before a row is answered is taken as exponential, with a mean of ``busy * load / (1 - load)``
    (requests arrive independently, and the time of one row varies as much as its mean; Kingman 1961, "The
    single server queue in heavy traffic", doi:10.1017/S0305004100036094). Its 95% point and ``p95_ms`` together
    must stay within the target. A target that not even an idle replica keeps gives :data:`USUAL_LOAD`.

    Examples
    --------
    >>> round(busy_share(1.0, 2.0, 20.0), 2)
    0.86
    >>> busy_share(1.0, 2.0, None), busy_share(1.0, 2.0, 1.5), busy_share(0.0, 2.0, 20.0)
    (0.7, 0.7, 1.0)
    """
    if latency_p95_ms is None or latency_p95_ms <= p95_ms:
        return USUAL_LOAD
    room = latency_p95_ms - p95_ms
    return room / (room + _LN20 * busy_ms)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _fleet(busy: float, p95: float, threads: int, traffic: Traffic, target: float | None) -> Fleet:
    load = busy_share(busy, p95, target)
    return Fleet(max(1, math.ceil(traffic.most_rps * busy / 1000 / load)), threads, load)


def _assumption(machines: Fleet, traffic: Traffic, weight: Weight, target: float | None) -> str:
    if target is None:
        why = f"busy at most {machines.load:.0%} of the time (assumed)"
    elif target <= weight.p95.value:
        why = f"busy at most {machines.load:.0%} of the time (assumed: not even an idle one keeps {target:g} ms)"
    else:
        why = f"busy at most {machines.load:.0%} of the time to keep {target:g} ms"
    replicas = f"{_count(machines.replicas, 'replica')} of {_count(machines.threads, 'core')}"
    return (
        f"{replicas} for a peak of {traffic.most_rps:g} requests/s, {why}, "
        f"paid around the clock for {traffic.mean_rps:g} requests/s on average"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
