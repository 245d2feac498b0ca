"""Prices as rows for a list: what each is, its source, and how old it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from steelyard.money import catalogue
from steelyard.money.energy import intensity_of
from steelyard.money.price import Price, age
from steelyard.money.prices import Prices

Row = dict[str, Any]


def price_rows(prices: Prices, part: str = "") -> list[Row]:
    """Return the prices in force, or one part of the catalogue with the user's rows over it (:data:`PARTS`).

    Raises
    ------
    PricesInvalid
        If the catalogue's currency has no rate to that of the user's file.
    """
    today = date.fromisoformat(prices.read)
    return [{**row, **_aged(row["date"], today)} for row in PARTS[part](prices)]


def listing(prices: Prices, part: str = "") -> dict[str, Any]:
    """Return a list of prices as one object: currency, day, rows, and a sentence for each of the user's that is old."""
    rows = price_rows(prices, part)
    return {"currency": prices.currency, "read": prices.read, "rows": rows, "old": list(prices.old())}


def _aged(dated: str, today: date) -> Row:
    days = age(dated, today)
    return {"date": dated, "age_days": days}


def _in_force(prices: Prices) -> Iterator[Row]:
    for name, price in prices.priced().items():
        yield {"what": name.replace("_", " ") if name != "core_hour" else "core-hour", **_row(price)}
    for name, rate in prices.rates.items():
        yield {
            "what": f"one {name}",
            "price": f"{rate.usd:f} USD",
            "how": "measured",
            "source": rate.source,
            "date": rate.date,
        }


def _row(price: Price) -> Row:
    return {"price": _money(price), "how": price.how.value, "source": price.source, "date": price.date}


def _money(price: Price) -> str:
    return f"{price.amount.amount:f} {price.amount.currency} per {price.per}"


def _machines(prices: Prices) -> Iterator[Row]:
    for one in prices.machines():
        hour = one.on_demand.amount.amount
        yield {
            "what": one.key,
            "family": one.family,
            "cores": one.cores,
            "memory_gb": one.memory_gb,
            "accelerator": f"{one.accelerators} x {one.accelerator}" if one.accelerators else "",
            "on_demand": f"{hour:f}",
            "spot": "" if one.spot is None else f"{one.spot.amount.amount:f}",
            "per_core": f"{(hour / one.cores).quantize(Decimal('0.00001')):f}",
            "currency": one.on_demand.amount.currency,
            "how": one.on_demand.how.value,
            "source": one.on_demand.source,
            "date": one.on_demand.date,
        }


def _functions(prices: Prices) -> Iterator[Row]:
    for one in prices.functions():
        cold = one.cold_start
        yield {
            "what": one.key,
            "gb_second": f"{one.gb_second.amount.amount:f}",
            "request": f"{one.request.amount.amount:f}",
            "currency": one.request.amount.currency,
            "cold_start_ms": f"{cold.value:g} ({cold.low:g} to {cold.high:g}, {cold.how.value})",
            "source": one.gb_second.source,
            "date": one.gb_second.date,
        }


def _carbon(prices: Prices) -> Iterator[Row]:
    force = intensity_of(prices)
    found = {**catalogue.carbon(), force.country: force}
    for name, one in found.items():
        yield {
            "what": f"{name} (in force)" if one is force else name,
            "grams_per_kwh": one.grams.value,
            "how": one.grams.how.value,
            "source": one.grams.source,
            "date": one.date,
        }


def _unit(part: str) -> Callable[[Prices], Iterator[Row]]:
    def rows(prices: Prices) -> Iterator[Row]:
        own: Mapping[str, Price] = {}
        single = {"electricity": prices.electricity, "storage": prices.storage, "egress": prices.egress}
        if part in single and (one := single[part]) is not None:
            own = {f"{part} (in force)": one}
        elif part not in single:
            own = {f"{name} (in force)": price for name, price in getattr(prices, part).items()}
        for name, price in {**own, **catalogue.units()[part]}.items():
            yield {"what": name, **_row(price)}

    return rows


PARTS: Mapping[str, Callable[[Prices], Iterator[Row]]] = {
    "": _in_force,
    "machines": _machines,
    "functions": _functions,
    "carbon": _carbon,
    **{part: _unit(part) for part in catalogue.UNITS},
}
"""What may be listed: the prices in force, or a part of the catalogue."""
