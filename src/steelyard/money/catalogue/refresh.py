"""The catalogue's machines read anew from CSV files as skypilot-catalog has them; needs no network.

A file has a row for each zone: ``InstanceType``, ``vCPUs``, ``MemoryGiB``, ``Price``, ``SpotPrice``, ``Region``.
The price on demand is the region's, spot the cheapest zone's. Google sells accelerators beside the machine, in rows
without an ``InstanceType``; both are added up.
"""

from __future__ import annotations

import csv
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from steelyard.errors import DataUnreadable
from steelyard.money.catalogue.bounds import odd
from steelyard.money.catalogue.rows import Machine
from steelyard.units import Money

COLUMNS = ("InstanceType", "vCPUs", "MemoryGiB", "Price", "SpotPrice", "Region", "AcceleratorName", "AcceleratorCount")
UNEVEN = Decimal("1.8")
"""A region that is this many times dearer or cheaper than the median of all is taken for a slip."""

Rows = Mapping[tuple[str, str], list[Mapping[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a file says otherwise than the catalogue does, or why its row is not taken."""

    key: str
    sentence: str
    taken: bool = True


def read(path: Path) -> Rows:
    """Return the rows of a file by type and region; those of accelerators alone by ``"" + name x count``.

    Raises
    ------
    DataUnreadable
        If it is not such a file.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataUnreadable(f"{path} cannot be read ({problem}); name a vms.csv of skypilot-catalog") from problem
    if missing := [name for name in COLUMNS if not rows or name not in rows[0]]:
        raise DataUnreadable(f"{path} lacks the columns {', '.join(missing)}; name a vms.csv of skypilot-catalog")
    found: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault((_type(row), row["Region"]), []).append(row)
    return found


def _type(row: Mapping[str, str]) -> str:
    return row["InstanceType"] or f"{_count(row['AcceleratorCount'])} x {row['AcceleratorName']}"


def refreshed(machines: Iterable[Machine], rows: Rows, cloud: str) -> tuple[list[Machine], list[Change]]:
    """Return the machines with one cloud's prices as a file has them, and what changed or was refused."""
    found, changes = [], []
    for machine in machines:
        if machine.cloud != cloud:
            found.append(machine)
            continue
        new, said = _one(machine, rows)
        found.append(new)
        changes += [Change(key=machine.key, sentence=sentence, taken=new is not machine) for sentence in said]
    return found, changes


def _one(machine: Machine, rows: Rows) -> tuple[Machine, list[str]]:
    zones = rows.get((machine.name, machine.region), [])
    on_demand, spot = _price(zones, "Price"), _price(zones, "SpotPrice")
    if on_demand is None:
        return machine, ["the file has no price of it; the catalogue's is kept"]
    if machine.accelerators and not any(row["AcceleratorName"] for row in zones):
        beside = rows.get((f"{machine.accelerators} x {machine.accelerator}", machine.region), [])
        extra, extra_spot = _price(beside, "Price"), _price(beside, "SpotPrice")
        if extra is None:
            return machine, [f"the file has no price of its {machine.accelerator}; the catalogue's is kept"]
        on_demand += extra
        spot = None if spot is None or extra_spot is None else spot + extra_spot
    wrong = odd(on_demand, spot, machine.cores, machine.accelerators) or _uneven(machine, on_demand, rows)
    shape = (_number(zones[0]["vCPUs"]), _number(zones[0]["MemoryGiB"]))
    if wrong is None and shape != (Decimal(machine.cores), Decimal(str(machine.memory_gb)).normalize()):
        wrong = f"it has {shape[0]} cores and {shape[1]} GiB in the file"
    if wrong is not None:
        return machine, [f"{wrong}; the catalogue's price is kept"]
    said = [*_told("on demand", machine.on_demand.amount.amount, on_demand)]
    said += _told("spot", None if machine.spot is None else machine.spot.amount.amount, spot)
    per = replace(machine.on_demand, amount=Money(on_demand))
    spots = None if spot is None else replace(machine.spot or machine.on_demand, amount=Money(spot))
    return replace(machine, on_demand=per, spot=spots), said


def _told(what: str, old: Decimal | None, new: Decimal | None) -> list[str]:
    if old == new:
        return []
    if old and new:
        return [f"{what} {old:f} to {new:f} USD an hour ({new / old - 1:+.0%})"]
    return [f"{what} {'none' if old is None else f'{old:f}'} to {'none' if new is None else f'{new:f} USD an hour'}"]


def _uneven(machine: Machine, on_demand: Decimal, rows: Rows) -> str | None:
    """Tell where the price is far from that of the other regions, the accelerators' for those sold beside."""
    name = machine.name
    if machine.accelerators and (beside := f"{machine.accelerators} x {machine.accelerator}", machine.region) in rows:
        name, on_demand = beside, _price(rows[beside, machine.region], "Price") or on_demand
    prices = [price for (kind, _), zones in rows.items() if kind == name and (price := _price(zones, "Price"))]
    middle = statistics.median(prices) if prices else on_demand
    if middle / UNEVEN <= on_demand <= middle * UNEVEN:
        return None
    return f"{name} costs {on_demand:f} USD an hour in {machine.region}, but {middle:f} in the median of all regions"


def _price(zones: Sequence[Mapping[str, str]], column: str) -> Decimal | None:
    found = [price for row in zones if (price := _number(row[column])) is not None and price > 0]
    return min(found, default=None)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text).normalize() + 0 if text else None
    except InvalidOperation:
        return None


def _count(text: str) -> str:
    number = _number(text)
    return "0" if number is None else f"{number:f}"


def written(text: str, machines: Sequence[Machine], sources: Mapping[str, tuple[str, str]]) -> str:
    """Return ``machines.yaml`` with new prices, and with the commit and date of each source that was read.

    Parameters
    ----------
    text
        The file as it is.
    machines
        Its rows, in their order.
    sources
        By cloud: the commit of the file that was read, and the day.
    """
    head, _, _ = text.partition("\nmachines:\n")
    for cloud, (commit, day) in sources.items():
        stamp = re.compile(rf"(\n  {cloud}:\n(?:    .*\n)*?    commit: )[0-9a-f]+\n    date: [0-9-]+")
        head = stamp.sub(rf"\g<1>{commit}\n    date: {day}", head)
    return "\n".join((head, "machines:", *map(_line, machines), ""))


def _line(machine: Machine) -> str:
    facts = {name: getattr(machine, name) for name in ("cloud", "region", "name", "family", "cores")}
    facts["memory_gb"] = f"{machine.memory_gb:g}"
    if machine.accelerators:
        facts |= {"accelerator": machine.accelerator, "accelerators": machine.accelerators}
    facts["on_demand"] = f"{machine.on_demand.amount.amount:f}"
    if machine.spot is not None:
        facts["spot"] = f"{machine.spot.amount.amount:f}"
    return f"  - {{source: {machine.cloud}, {', '.join(f'{name}: {value}' for name, value in facts.items())}}}"
