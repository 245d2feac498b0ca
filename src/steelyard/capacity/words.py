"""What ``steelyard capacity`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steelyard.decide.words import figure, money
from steelyard.units import Estimate

_SHOWN = 8


def describe(block: Mapping[str, Any]) -> str:
    """Return the block as lines."""
    return "\n".join(_lines(block))


def describe_nights(block: Mapping[str, Any]) -> str:
    """Return what a nightly run costs as lines."""
    heads = f"  {'machine':34} {'hours a night':>14} {'a month':>14} {'spot, a month':>14}"
    rows = [
        f"  {_machine(m):34} {m['hours']:>14.2f} {_money(m['month'], block):>14} {_plain(m['spot_month'], block):>14}"
        for m in block["machines"][:_SHOWN]
    ]
    return "\n".join([block["sentence"], "", heads, *rows, *(f"  {note}" for note in block["notes"])])


def _lines(block: Mapping[str, Any]) -> Iterator[str]:
    one = Estimate.from_json(block["replica"]["capacity"])
    yield block["sentence"]
    yield ""
    yield (
        f"one replica bears {figure(one.value)} requests/s ({figure(one.low)} to {figure(one.high)}): "
        f"{block['model']}; {block['replica']['overhead']['source']}"
    )
    yield ""
    yield f"  {'replicas':20} {'most':>5} {'a month':>26} {'a million':>12} {'idle':>6}"
    for name, words in (("fixed", "around the clock"), ("autoscaled", "with autoscaling")):
        fleet = block[name]
        yield (
            f"  {words:20} {fleet['replicas']:>5} {_range(fleet['month'], block):>26} "
            f"{_money(fleet['per_million'], block):>12} {fleet['idle_share']:>6.0%}"
        )
    counts = [hour["replicas"] for hour in block["hours"]]
    if len(set(counts)) > 1:
        yield f"  replicas by hour: {' '.join(map(str, counts[:168]))}"
    yield from _table("machines, cheapest first", [_hired(m, block) for m in block["machines"][:_SHOWN]])
    yield from _table("where to run it, cheapest first", [_place(p, block) for p in block["placement"]])
    yield from _table(
        "crossovers",
        [f"{figure(c['rps']):>8} requests/s: {c['below']} below, {c['above']} above" for c in block["crossovers"]],
    )
    yield from _table("notes", list(block["notes"]))


def _table(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield ""
        yield title
        yield from (f"  {row}" for row in rows)


def _hired(machine: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    spot = f", spot {_money(machine['spot_month'], block)}" if machine["spot_month"] else ""
    scaled = f"autoscaled {_money(machine['autoscaled_month'], block)}"
    month = _money(machine["month"], block)
    return f"{_machine(machine):34} {machine['machines']:>3} used {month:>12} a month, {scaled}{spot}"


def _place(place: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    month = _money(place["month"], block)
    return f"{place['kind']:12} {month:>14} a month  {place['name']} ({place['how']}): {place['note']}"


def _machine(row: Mapping[str, Any]) -> str:
    return f"{row['cloud']} {row['name']} ({row['cores']} cores, {row['memory_gb']:g} GB)"


def _money(data: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    return _plain(data["value"], block)


def _plain(value: float | None, block: Mapping[str, Any]) -> str:
    return "-" if value is None else money(value, block["currency"])


def _range(data: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    low, high = (money(data[end], block["currency"]) for end in ("low", "high"))
    return money(data["value"], block["currency"]) if low == high else f"{low} to {high}"
