"""How many replicas traffic needs hour by hour, what they cost in a month, and how much of that is idle."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.money.batching import Replica
from steelyard.money.catalogue import Machine
from steelyard.money.prices import Price
from steelyard.money.traffic import HOURS_A_MONTH, Demand
from steelyard.units import Estimate, How

MILLION = 1_000_000
SERVER_BYTES = 150e6
"""Memory of a server process beside its model: Python, ONNX Runtime and the server, assumed (the bar that the server of
a small bundle keeps in ``make bench-capacity``)."""
SYSTEM_SHARE = 0.1
"""Share of a machine's memory that is left to its system, assumed."""
_GRID = 25
"""Rates at which it is worked out how busy a replica is; between them lies a straight line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What serves: a replica with the ends of its 95% interval, and what it takes of a machine.

    Attributes
    ----------
    slow, fast
        The replica where a row takes as long, and as short, as its interval allows.
    threads
        Cores that a replica holds.
    memory_bytes
        Memory of the model in one process.
    """

    replica: Replica
    slow: Replica
    fast: Replica
    threads: int = 1
    memory_bytes: float = 0.0

    @property
    def ends(self) -> tuple[Replica, Replica, Replica]:
        """The replica, then the ends of its interval."""
        return self.replica, self.slow, self.fast

    @property
    def process_bytes(self) -> float:
        """Memory of one server process."""
        return self.memory_bytes + SERVER_BYTES

    def capacity(self, target_ms: float | None) -> Estimate:
        """Return the requests a second that one replica bears within the target."""
        found = [each.capacity(target_ms) for each in self.ends]
        source = f"a server that answers at once what has gathered; {self.replica.overhead.source}"
        return Estimate(found[0], min(found), max(found), How.ESTIMATED, "requests/s", source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How replicas come and go: seconds that one needs to start, and how few there may be."""

    start_seconds: float = 60.0
    least: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.start_seconds <= 3600 and self.least >= 1):
            raise ValueError(
                "a replica starts within 0 to 3600 seconds, and there is at least 1; got "
                f"{self.start_seconds:g} s and {self.least}"
            )


def replicas(rps: float, each: float, least: int = 1) -> int:
    """Return how many replicas a rate needs of which each bears so many requests a second.

    Examples
    --------
    >>> replicas(100, 30.0), replicas(0, 30.0), replicas(90, 30.0, least=2)
    (4, 1, 3)
    """
    return max(least, math.ceil(rps / each - 1e-9))


@functools.lru_cache(maxsize=256)
def by_hour(demand: Demand, each: float, scaling: Scaling) -> tuple[int, ...]:
    """Return the replicas of each hour: enough for it, and for what comes while more of them start."""
    lead = scaling.start_seconds / 3600
    after = (*demand.planned[1:], demand.planned[0])
    wanted = (now + lead * max(0.0, then - now) for now, then in zip(demand.planned, after, strict=True))
    return tuple(replicas(rps, each, scaling.least) for rps in wanted)


@functools.lru_cache(maxsize=256)
def around_the_clock(demand: Demand, each: float, scaling: Scaling) -> tuple[int, ...]:
    """Return the replicas of each hour where all of them always run."""
    return (replicas(demand.most_rps, each, scaling.least),) * len(demand.mean)


Staffing = Callable[[Demand, float, Scaling], tuple[int, ...]]
"""Says how many replicas run in each hour."""


def paid_hours(running: Sequence[int], scaling: Scaling, size: int = 1) -> float:
    """Return machine-hours of a month for machines that hold ``size`` replicas each; starting is paid for too.

    Examples
    --------
    >>> paid_hours((1, 1), Scaling()), round(paid_hours((1, 3) * 12, Scaling(start_seconds=360)))
    (730.0, 1533)
    """
    machines = [math.ceil(count / size) for count in running]
    starts = sum(max(0, now - before) for before, now in zip((machines[-1], *machines[:-1]), machines, strict=True))
    return HOURS_A_MONTH * (sum(machines) + starts * scaling.start_seconds / 3600) / len(machines)


def idle_share(replica: Replica, demand: Demand, running: Sequence[int]) -> float:
    """Return the share of the time of all replicas in which they have nothing to do."""
    counts = np.array(running, np.float64)
    rates = np.array(demand.mean) / counts
    grid = np.unique(rates)
    if len(grid) > _GRID:
        grid = np.linspace(0.0, float(grid[-1]), _GRID)
    busy = np.interp(rates, grid, [replica.busy(float(rate)) for rate in grid])
    return float(1 - (counts * busy).sum() / counts.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a month costs, and a million predictions of it (NaN where nobody asks)."""

    month: Estimate
    per_million: Estimate

    @classmethod
    def of(cls, months: Sequence[float], demand: Demand, currency: str, source: str, how: How = How.ESTIMATED) -> Cost:
        """Return the cost of a month given at a value and at ends of an interval, in any order after the value."""
        value, low, high = months[0], min(months), max(months)
        millions = demand.month / MILLION
        month = Estimate(value, low, high, how, f"{currency} a month", source)
        unit = f"{currency} per 1,000,000 predictions"
        if not millions:
            return cls(month=month, per_million=Estimate(math.nan, math.nan, math.nan, how, unit, "nobody asks"))
        return cls(month=month, per_million=month.scaled(1 / millions, unit=unit, source=source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas hour by hour, what they cost, and the share of their time that is idle."""

    running: tuple[int, ...]
    cost: Cost
    idle_share: float

    @property
    def most(self) -> int:
        """Replicas in the busiest hour."""
        return max(self.running)


def fleet_of(  # noqa: PLR0917 - what serves, for whom, how fast, at what price
    bundle: Bundle, demand: Demand, target_ms: float | None, core_hour: Price, scaling: Scaling, staffing: Staffing
) -> Fleet:
    """Return the replicas that traffic needs, each paid for its cores at the price of a core-hour."""
    several = [staffing(demand, each.capacity(target_ms), scaling) for each in bundle.ends]
    price = float(core_hour.amount.amount) * bundle.threads
    months = [price * paid_hours(running, scaling) for running in several]
    cores = "1 core" if bundle.threads == 1 else f"{bundle.threads} cores"
    source = f"replicas of {cores}, idle time included; {core_hour.cited}"
    cost = Cost.of(months, demand, core_hour.amount.currency, source)
    return Fleet(running=several[0], cost=cost, idle_share=idle_share(bundle.replica, demand, several[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """A type of machine under this traffic.

    Attributes
    ----------
    replicas
        In the busiest hour.
    machines
        That hold them.
    fixed
        Cost where all machines always run.
    spot
        Cost around the clock at the spot price, with one machine to spare; ``None`` where there is no such price.
    """

    machine: Machine
    replicas: int
    machines: int
    fixed: Cost
    spot: Cost | None
    how: How


def fits(machine: Machine, bundle: Bundle) -> int:
    """Return how many replicas a machine holds: by its cores, and by its memory."""
    memory = machine.memory_gb * 1e9 * (1 - SYSTEM_SHARE)
    return min(machine.cores // bundle.threads, int(memory // bundle.process_bytes))


SPARE = 1
"""Spot machines beyond those needed, assumed: one that is taken away is replaced while the spare one works."""


def rented(
    bundle: Bundle, demand: Demand, target_ms: float | None, machine: Machine, scaling: Scaling
) -> Rented | None:
    """Return what a type of machine costs; ``None`` where not one replica fits.

    A core there is taken to be as fast as the one that the bundle was measured on.
    """
    size = fits(machine, bundle)
    if size < 1:
        return None
    counts = [max(around_the_clock(demand, one.capacity(target_ms), scaling)) for one in bundle.ends]
    machines = [math.ceil(count / size) for count in counts]
    return Rented(
        machine=machine,
        replicas=counts[0],
        machines=machines[0],
        fixed=_at(machine.on_demand, [HOURS_A_MONTH * number for number in machines], demand),
        spot=_spot(machine, demand, machines),
        how=How.ESTIMATED,
    )


def autoscaled(bundle: Bundle, demand: Demand, target_ms: float | None, machine: Machine, scaling: Scaling) -> Cost:
    """Return what a type of machine costs that holds the bundle, where machines come and go with the hours."""
    size = fits(machine, bundle)
    several = [by_hour(demand, one.capacity(target_ms), scaling) for one in bundle.ends]
    return _at(machine.on_demand, [paid_hours(running, scaling, size) for running in several], demand)


def _at(price: Price, hours: Sequence[float], demand: Demand) -> Cost:
    source = f"{price.cited}; a core there taken to be as fast as here (assumed)"
    amount = float(price.amount.amount)
    return Cost.of([amount * each for each in hours], demand, price.amount.currency, source)


def _spot(machine: Machine, demand: Demand, counts: Sequence[int]) -> Cost | None:
    if machine.spot is None:
        return None
    price, currency = float(machine.spot.amount.amount), machine.spot.amount.currency
    months = [price * HOURS_A_MONTH * (count + SPARE) for count in counts]
    source = f"{machine.spot.cited}; {SPARE} machine to spare for interruptions (assumed)"
    return Cost.of(months, demand, currency, source, How.ASSUMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly:
    """A nightly run of many rows on one machine: how long it takes, and what a month of them costs."""

    machine: Machine
    hours: float
    month: Estimate
    spot_month: float | None


NIGHTS = 365 / 12


def nightly(bundle: Bundle, rows: int, machines: Iterable[Machine], scaling: Scaling) -> list[Nightly]:
    """Return what predicting ``rows`` each night costs on each type of machine, cheapest first.

    Rows are computed in the largest batches, without HTTP, on all cores of one machine that is started for it.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    if rows < 1:
        raise ValueError(f"a nightly run needs at least one row; got {rows}")
    found = []
    for machine in machines:
        size = fits(machine, bundle)
        if size < 1 or machine.accelerators:
            continue
        took = [rows * _per_row(each) / size / 3600 + scaling.start_seconds / 3600 for each in bundle.ends]
        months = [NIGHTS * hours * float(machine.on_demand.amount.amount) for hours in took]
        cost = Cost.of(months, Demand(mean=(0.0,), planned=(0.0,), known=True), machine.on_demand.amount.currency, "")
        spot = None if machine.spot is None else NIGHTS * took[0] * float(machine.spot.amount.amount)
        source = f"{rows:,} rows a night; {machine.on_demand.cited}"
        found.append(Nightly(machine=machine, hours=took[0], month=replace(cost.month, source=source), spot_month=spot))
    return sorted(found, key=lambda each: each.month.value)


def _per_row(replica: Replica) -> float:
    """Return the seconds of a row in the batch of the curve in which it takes least."""
    return min(ms / rows for rows, ms in replica.curve) / 1000
