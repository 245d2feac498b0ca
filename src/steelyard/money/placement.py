"""Where one bundle is best run: on machines, on spot machines, as a function, on an accelerator, or at the edge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steelyard.money.batching import Replica
from steelyard.money.capacity import Bundle, Cost, Rented, Scaling, rented
from steelyard.money.catalogue import Function, Machine
from steelyard.money.traffic import Demand
from steelyard.units import How, Money

CORE_GB = 1.769
"""Memory at which a function has one whole core (AWS Lambda, "Configure Lambda function memory": 1,769 MB), assumed of
every cloud."""
WARM_SECONDS = 300.0
"""Seconds without a request after which a function is started anew, assumed; clouds promise none."""
SPEEDUP = (10.0, 3.0, 30.0)
"""How many times as fast as a core an accelerator works off the rows of a batch, and the range of it, assumed."""
CALL_MS = 0.5
"""What calling an accelerator takes each time, assumed: copies there and back, and starting its kernels."""

MOST_CORES = 4
"""Cores beside an accelerator that share its HTTP, at most, assumed: one process hands out its calls."""


class Kind(StrEnum):
    """A way to run a bundle."""

    GENERAL = "general"
    SPOT = "spot"
    FUNCTION = "function"
    ACCELERATOR = "accelerator"
    EDGE = "edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The cheapest offer of a kind: what a month of it costs, how that is known, and what is to be said of it."""

    kind: Kind
    name: str
    cost: Cost
    how: How
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Devices of the users', and what each costs a month beside what it is there for."""

    devices: int = 0
    price: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What there is to choose from. ``target_ms`` is to be kept at the 95th percentile."""

    bundle: Bundle
    machines: tuple[Machine, ...]
    functions: tuple[Function, ...]
    edge: Edge | None = None
    target_ms: float | None = None
    scaling: Scaling = Scaling()  # noqa: RUF009 - frozen


def places(offers: Offers, demand: Demand, currency: str) -> list[Place]:
    """Return the cheapest place of each kind for some traffic, cheapest first."""
    plain = [m for m in offers.machines if not m.accelerators]
    fast = [m for m in offers.machines if m.accelerators]
    hired = [r for m in plain if (r := rented(offers.bundle, demand, offers.target_ms, m, offers.scaling)) is not None]
    found: list[Place | None] = [
        _cheapest(_general(each) for each in hired),
        _cheapest(_spot(each) for each in hired if each.spot is not None),
        _cheapest(_function(each, offers, demand) for each in offers.functions),
        _cheapest(place for each in fast if (place := _accelerated(each, offers, demand)) is not None),
        None if offers.edge is None else _edge(offers.edge, demand, currency),
    ]
    there = [place for place in found if place is not None]
    return sorted(there, key=lambda place: place.cost.month.value)


def _cheapest(offered: Iterable[Place]) -> Place | None:
    return min(offered, key=lambda place: place.cost.month.value, default=None)


def _named(where: Machine | Function) -> str:
    return f"{where.cloud} {where.name}, {where.region}"


def _general(hired: Rented) -> Place:
    count = f"{hired.machines} machine{'s' if hired.machines > 1 else ''}"
    return Place(
        kind=Kind.GENERAL,
        name=_named(hired.machine),
        cost=hired.fixed,
        how=hired.how,
        note=f"{count}, around the clock",
    )


def _spot(hired: Rented) -> Place:
    assert hired.spot is not None
    note = f"{hired.machines} and 1 to spare: a machine may be taken away at short notice (assumed)"
    return Place(kind=Kind.SPOT, name=_named(hired.machine), cost=hired.spot, how=How.ASSUMED, note=note)


def _function(function: Function, offers: Offers, demand: Demand) -> Place:
    """Price each request by the time it takes alone: a function answers one at a time, with a core of its own."""
    bundle = offers.bundle
    memory = max(CORE_GB * bundle.threads, bundle.process_bytes / 1e9)
    second, request = (float(price.amount.amount) for price in (function.gb_second, function.request))
    months = [demand.month * (memory * math.ceil(each.busy_ms) / 1000 * second + request) for each in bundle.ends]
    cold = math.exp(-demand.mean_rps * WARM_SECONDS)
    start = function.cold_start
    note = (
        f"{memory:.3g} GB; a first request after {WARM_SECONDS:.0f} s without any (assumed) waits "
        f"{start.value:,.0f} ms ({start.how.value}): {cold:.2%} of them"
    )
    if offers.target_ms is not None and cold > 1 / 20:
        note += ", so that the latency target is missed"
    source = f"{function.gb_second.cited}; whole ms, memory for one core ({CORE_GB:g} GB, assumed)"
    cost = Cost.of(months, demand, function.gb_second.amount.currency, source)
    return Place(kind=Kind.FUNCTION, name=_named(function), cost=cost, how=How.ESTIMATED, note=note)


def _accelerated(machine: Machine, offers: Offers, demand: Demand) -> Place | None:
    bundle = offers.bundle
    share = max(1, machine.cores // machine.accelerators)
    cores = min(share, MOST_CORES)
    ends = [on_accelerator(each, by, cores) for each, by in zip(bundle.ends, SPEEDUP, strict=True)]
    faster = Bundle(replica=ends[0], slow=ends[1], fast=ends[2], threads=share, memory_bytes=bundle.memory_bytes)
    hired = rented(faster, demand, offers.target_ms, machine, offers.scaling)
    if hired is None:
        return None
    note = (
        f"{hired.machines} x {machine.accelerators} {machine.accelerator}, never measured: rows taken to be "
        f"{SPEEDUP[0]:g} times as fast as on a core ({SPEEDUP[1]:g} to {SPEEDUP[2]:g}) and a call to take {CALL_MS:g} "
        "ms (assumed); HTTP stays on its cores"
    )
    return Place(kind=Kind.ACCELERATOR, name=_named(machine), cost=hired.fixed, how=How.ASSUMED, note=note)


def on_accelerator(replica: Replica, speedup: float, cores: int) -> Replica:
    """Return a replica on one accelerator: rows are faster, calls have a price, HTTP is shared by the cores beside it.

    Examples
    --------
    >>> import numpy as np
    >>> slow = Replica(curve=((1, 10.0), (11, 110.0)))
    >>> on_accelerator(slow, 10.0, 4).model_ms(np.array([1]))
    array([1.5])
    """
    around = replica.overhead
    overhead = replace(around, request_ms=around.request_ms / cores, how=How.ASSUMED)
    curve = tuple((rows, CALL_MS + ms / speedup) for rows, ms in replica.curve)
    return Replica(curve=curve, most=replica.most, spread=replica.spread, overhead=overhead)


def _edge(edge: Edge, demand: Demand, currency: str) -> Place:
    price = 0.0 if edge.price is None else float(edge.price.amount) * edge.devices
    note = "on the users' own devices: nothing is rented, and the latency is theirs (assumed)"
    if edge.price is not None:
        note = f"{edge.devices:,} devices at {edge.price} a month each (assumed); the latency is theirs"
    cost = Cost.of([price], demand, currency, "given", How.ASSUMED)
    return Place(kind=Kind.EDGE, name="the users' devices", cost=cost, how=How.ASSUMED, note=note)


@dataclass(frozen=True, slots=True)
class Crossover:
    """A rate, in requests a second on average, above which another kind is the cheapest."""

    rps: float
    below: Kind
    above: Kind


FROM_RPS, TO_RPS = 0.01, 10_000.0
_STEPS, _HALVINGS = 25, 10


def crossovers(cheapest: Callable[[float], Kind | None]) -> list[Crossover]:
    """Return where the cheapest kind changes as traffic grows from 0.01 to 10,000 requests a second.

    Parameters
    ----------
    cheapest
        Names the cheapest kind at a mean rate.

    Examples
    --------
    >>> found = crossovers(lambda rps: Kind.FUNCTION if rps < 3 else Kind.GENERAL)
    >>> [(round(each.rps, 1), each.above.value) for each in found]
    [(3.0, 'general')]
    """
    ratio = (TO_RPS / FROM_RPS) ** (1 / (_STEPS - 1))
    rates = [FROM_RPS * ratio**step for step in range(_STEPS)]
    kinds = [cheapest(rps) for rps in rates]
    return [
        _between(cheapest, low, high, below, above)
        for low, high, below, above in zip(rates, rates[1:], kinds, kinds[1:], strict=False)
        if below is not None and above is not None and below is not above
    ]


def _between(cheapest: Callable[[float], Kind | None], low: float, high: float, below: Kind, above: Kind) -> Crossover:
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cheapest(middle) is below else (low, middle)
    return Crossover(high, below, above)


def rented_kind(offers: Offers, demand: Demand, currency: str) -> Callable[[float], Kind | None]:
    """Return what names the cheapest kind that is rented, at a mean rate in the shape of some traffic."""
    bare = Offers(
        bundle=offers.bundle,
        machines=offers.machines,
        functions=offers.functions,
        target_ms=offers.target_ms,
        scaling=offers.scaling,
    )

    def cheapest(rps: float) -> Kind | None:
        found: Sequence[Place] = places(bare, demand.scaled(rps / demand.mean_rps), currency)
        return found[0].kind if found else None

    return cheapest
