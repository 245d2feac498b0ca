"""Energy of a run and what it stands for in carbon dioxide: measured by RAPL where there is one, estimated elsewhere.

The estimate is CodeCarbon's for a machine without a meter (https://github.com/mlco2/codecarbon,
docs/explanation/methodology.md at 2ec024a): processors at half of their thermal design power, 4 W for each thread of a
processor that it does not know, and memory by the module. Its figures were up to 40% off a meter (arXiv 2509.22092), so
they are told as a range.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from steelyard.money import catalogue
from steelyard.money.catalogue import Carbon
from steelyard.money.ledger import Entry, EntryKind, entry
from steelyard.money.price import Price, rounded
from steelyard.money.prices import Prices
from steelyard.units import Estimate, How, Money, Seconds

POWERCAP = Path("/sys/class/powercap")
JOULES_PER_KWH = 3.6e6
THREAD_WATTS = 4.0
"""Thermal design power of a thread of an unknown processor, W (CodeCarbon's DEFAULT_POWER_PER_CORE)."""
BUSY_SHARE = 0.5
"""Share of the thermal design power that is taken on average (CodeCarbon's CONSUMPTION_PERCENTAGE_CONSTANT)."""
ERROR = 0.4
"""How far estimates of this family were off a meter (arXiv 2509.22092)."""
MODULE_WATTS = 5.0
"""Of a memory module (CodeCarbon from version 3 on)."""
WATTS_PER_GB = 3 / 8
"""Of memory (CodeCarbon up to version 2)."""
ESTIMATED = "CodeCarbon's model of a machine without a meter"
MEASURED = "RAPL, the processors' own counters"


@dataclass(slots=True)
class Rapl:
    """The energy counters of this machine's processors, added up; a counter that began anew is seen.

    A counter begins anew after some 65 to 260 kJ, which a busy server needs minutes for: :meth:`sample` it at least
    as often. The counters know no processes: what others do on the machine is in them. ``memory`` tells whether that
    of the memory is among them.
    """

    domains: tuple[Path, ...]
    memory: bool = False
    joules: float = 0.0
    _last: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def found(cls, folder: Path | None = None) -> Rapl | None:
        """Return the counters of all packages that may be read, begun now, or ``None`` where there are none."""
        every = [
            p
            for p in sorted((POWERCAP if folder is None else folder).glob("intel-rapl:*"))
            if _read(p / "energy_uj") is not None
        ]
        packages = [p for p in every if _name(p).startswith("package")]
        if not packages:
            return None
        drams = [p for p in every if _name(p) == "dram"]
        meter = cls((*packages, *drams), memory=len(drams) == len(packages))
        meter.sample()
        return meter

    def sample(self) -> float:
        """Read the counters and return the joules since the last time; 0 the first time."""
        before = self.joules
        for domain in self.domains:
            now, last = _read(domain / "energy_uj"), self._last.get(domain)
            if now is None:
                continue
            if last is not None:
                most = _read(domain / "max_energy_range_uj") or 0
                self.joules += (now - last if now >= last else max(0, now + most - last)) / 1e6
            self._last[domain] = now
        return self.joules - before


def _name(domain: Path) -> str:
    with contextlib.suppress(OSError):
        return (domain / "name").read_text(encoding="ascii").strip()
    return ""


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What counters saw of a run: joules, the seconds that they cover, and whether memory was among them."""

    joules: float = 0.0
    seconds: float = 0.0
    memory: bool = False


def processors(cores: int, *, of: int | None = None, tdp: float | None = None) -> Estimate:
    """Return the power of some cores of a machine, W, as a range.

    Parameters
    ----------
    cores
        Threads that are held.
    of
        Threads of the machine; unset: those held.
    tdp
        Thermal design power of its processors together, W, where it is known.

    Examples
    --------
    >>> one = processors(2)
    >>> one.value, one.low, one.high, one.how.value
    (4.0, 2.4, 11.2, 'estimated')
    """
    whole = THREAD_WATTS * cores if tdp is None else tdp * min(1.0, cores / (of or cores))
    usual, most = whole * BUSY_SHARE, whole * (1 + ERROR) if tdp is None else whole
    return Estimate(usual, usual * (1 - ERROR), most, How.ESTIMATED, "W", ESTIMATED)


def memory(gigabytes: float) -> Estimate:
    """Return the power of a machine's memory, W: by its modules, the range by its gigabytes.

    Examples
    --------
    >>> one = memory(8.0)
    >>> one.value, one.low, one.high
    (10.0, 3.0, 10.0)
    """
    if gigabytes <= 16:
        count = 2
    elif gigabytes <= 64:
        count = 4
    elif gigabytes <= 128:
        count = 8
    else:
        size = max(s for s in (16, 32, 64, 128) if s <= gigabytes / 8)
        count = min(32, math.ceil(gigabytes / size))
    shares = [share for share, modules in ((1.0, 4), (0.9, 4), (0.8, 8), (0.7, 16)) for _ in range(modules)]
    modules, each = MODULE_WATTS * math.fsum(shares[:count]), gigabytes * WATTS_PER_GB
    return Estimate(modules, min(modules, each), max(modules, each), How.ESTIMATED, "W", ESTIMATED)


def energy_of(
    machine: Mapping[str, str], cores: int, seconds: Seconds, metered: Metered, tdp: float | None = None
) -> Estimate | None:
    """Return the energy of a run, kWh: what was metered, and the estimate of what was not.

    Parameters
    ----------
    machine
        What it ran on, by ``cores`` and ``memory``; without them nothing is estimated.
    cores
        Threads that it held.
    seconds
        From its beginning to its end.
    metered
        What the machine's own counters saw of it.
    tdp
        Thermal design power of the processors, W, where it is known.

    Examples
    --------
    >>> machine = {"cores": "2", "memory": "8.0 GB"}
    >>> energy_of(machine, 2, Seconds(3600), Metered()).value
    0.014
    >>> energy_of(machine, 2, Seconds(3600), Metered(joules=36000, seconds=3600, memory=True)).how.value
    'measured'
    """
    try:
        threads, gigabytes = int(machine["cores"]), float(machine["memory"].removesuffix(" GB"))
    except (KeyError, ValueError):
        return None
    rest = max(0.0, seconds - metered.seconds)
    without = rest if metered.memory else float(seconds)
    one, other = processors(cores, of=max(threads, cores), tdp=tdp), memory(gigabytes)
    pairs = zip(_ends(one), _ends(other), strict=True)
    value, low, high = ((metered.joules + p * rest + m * without) / JOULES_PER_KWH for p, m in pairs)
    whole = metered.memory and rest <= 0.01 * seconds
    source = MEASURED if whole else f"{MEASURED}; the rest: {ESTIMATED}" if metered.seconds else ESTIMATED
    return Estimate(value, low, high, How.MEASURED if whole else How.ESTIMATED, "kWh", source)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def hourly(prices: Prices, cores: int) -> Money:
    """Return what holding cores of this machine costs for an hour, electricity at its most where it is paid for.

    Examples
    --------
    >>> hourly(Prices.load(), 2)
    Money(amount=Decimal('0.1008'), currency='USD')
    """
    held = prices.core_hour.amount * cores
    if prices.electricity is None:
        return held
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    power = processors(cores, of=os.cpu_count(), tdp=prices.tdp_watts).high + memory(gigabytes).high
    return rounded(held + prices.electricity.amount * (Decimal(repr(power)) / 1000))


def carbon_of(energy: Estimate, prices: Prices) -> Estimate:
    """Return what an energy stands for in carbon dioxide, g: that of the user's country, or the world's range."""
    intensity = intensity_of(prices).grams
    pairs = ((energy.value, intensity.value), (energy.low, intensity.low), (energy.high, intensity.high))
    value, low, high = (kwh * grams for kwh, grams in pairs)
    how = How.ASSUMED if intensity.how is How.ASSUMED else How.ESTIMATED
    return Estimate(value, low, high, how, "g CO2e", intensity.source)


def intensity_of(prices: Prices) -> Carbon:
    """Return the carbon intensity in force: the user's, or that of the world."""
    return prices.carbon if prices.carbon is not None else catalogue.carbon()["WORLD"]


def energy_entries(energy: Estimate, prices: Prices) -> tuple[Entry, ...]:
    """Return the lines about a run's energy: what it cost where electricity is paid for, and carbon beside it.

    Cloud prices include electricity, so without a price of it the line has an amount of 0; so has that about carbon.

    Examples
    --------
    >>> power = Estimate(0.001, 0.0005, 0.002, How.ESTIMATED, "kWh", "us")
    >>> [(line.kind.value, line.unit, str(line.quantity)) for line in energy_entries(power, Prices.load())]
    [('note', 'kWh', '0.001000'), ('note', 'g CO2e', '0.475000')]
    """
    free = Money(Decimal(0), prices.currency)
    if prices.electricity is None:
        included = Price(free, "kWh", f"{energy.source}; included in the price of a core-hour")
        first = _line(EntryKind.NOTE, "energy", energy, included, included.source)
    else:
        cited = f"{energy.source}; {prices.cite(prices.electricity)}"
        first = _line(EntryKind.ENERGY, "energy", energy, prices.electricity, cited)
    carbon = carbon_of(energy, prices)
    emitted = Price(free, "g CO2e", intensity_of(prices).cited)
    return first, _line(EntryKind.NOTE, "carbon dioxide of that energy", carbon, emitted, emitted.source)


def _line(kind: EntryKind, what: str, found: Estimate, price: Price, cited: str) -> Entry:
    value, low, high = (Decimal(repr(end)) for end in (found.value, found.low, found.high))
    return entry(kind, what, value, price, how=found.how, ends=(low, high), cited=cited)
