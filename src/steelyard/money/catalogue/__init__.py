"""The catalogue of the package: rows that were read from their source, each with its date; loaded when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from steelyard.money.catalogue.rows import FAMILIES, Carbon, Family, Function, Machine
from steelyard.money.price import Price
from steelyard.units import Estimate, How, Money

__all__ = ["FAMILIES", "Carbon", "Family", "Function", "Machine", "carbon", "functions", "machines", "units"]

UNITS = {"electricity": "kWh", "storage": "GB-month", "egress": "GB", "labels": "label", "people": "hour"}
"""What is paid by the unit: the part of ``units.yaml``, and its unit."""


@lru_cache(maxsize=1)
def machines() -> tuple[Machine, ...]:
    """Return the types of machines of three clouds, general, compute and accelerated, prices in USD.

    Examples
    --------
    >>> sorted({machine.cloud for machine in machines()})
    ['aws', 'gcp', 'lambda']
    """
    rows, sources = _read("machines")
    return tuple(_machine(row, sources[row["source"]]) for row in rows["machines"])


@lru_cache(maxsize=1)
def functions() -> tuple[Function, ...]:
    """Return the pay-per-use functions, prices in USD.

    Examples
    --------
    >>> [f"{one.key}: {one.gb_second.amount.amount:f}" for one in functions()][0]
    'aws/lambda/us-east-1: 0.00001667'
    """
    rows, sources = _read("functions")
    return tuple(_function(row, sources[row["source"]]) for row in rows["functions"])


@lru_cache(maxsize=1)
def carbon() -> Mapping[str, Carbon]:
    """Return the carbon intensity of electricity by country code (ISO 3166-1 alpha-3), and of the ``WORLD``.

    Examples
    --------
    >>> carbon()["FRA"].grams.value
    67.39
    """
    rows, sources = _read("carbon")
    return {row["country"]: _carbon(row, sources[row["source"]]) for row in rows["carbon"]}


@lru_cache(maxsize=1)
def units() -> Mapping[str, Mapping[str, Price]]:
    """Return what is paid by the unit (:data:`UNITS`), by part and name, each in the currency of its source.

    Examples
    --------
    >>> str(units()["electricity"]["DEU household"].amount)
    '0.38 EUR'
    """
    rows, sources = _read("units")
    return {
        part: {row["name"]: _price(row["price"], per, sources[row["source"]], row["name"]) for row in rows[part]}
        for part, per in UNITS.items()
    }


def _read(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    text = files("steelyard.money.catalogue").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    rows = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    return rows, rows["sources"]


def _price(amount: object, per: str, source: Mapping[str, Any], what: str) -> Price:
    return Price(Money.parse(amount), per, f"{what}: {_cited(source)}", str(source["date"]), _how(source))


def _cited(source: Mapping[str, Any]) -> str:
    commit = source.get("commit")
    return f"{source['text']} at {commit[:7]}" if commit else str(source["text"])


def _how(source: Mapping[str, Any]) -> How:
    return How(source.get("how", How.MEASURED.value))


def _machine(row: Mapping[str, Any], source: Mapping[str, Any]) -> Machine:
    what = f"{row['cloud']} {row['name']}, {row['region']}"
    spot = row.get("spot")
    return Machine(
        **{name: row[name] for name in ("name", "cloud", "region", "cores", "family")},
        memory_gb=float(row["memory_gb"]),
        accelerator=row.get("accelerator", ""),
        accelerators=row.get("accelerators", 0),
        on_demand=_price(row["on_demand"], "machine-hour", source, f"{what}, on demand"),
        spot=None if spot is None else _price(spot, "machine-hour", source, f"{what}, spot"),
    )


def _function(row: Mapping[str, Any], source: Mapping[str, Any]) -> Function:
    what = f"{row['cloud']} {row['name']}, {row['region']}"
    value, low, high = (float(row[f"cold_start_{end}"]) for end in ("ms", "low", "high"))
    return Function(
        **{name: row[name] for name in ("name", "cloud", "region")},
        gb_second=_price(row["gb_second"], "GB-second", source, what),
        request=_price(row["request"], "request", source, what),
        cold_start=Estimate(value, low, high, How.ASSUMED, "ms", row["cold_start_source"]),
    )


def _carbon(row: Mapping[str, Any], source: Mapping[str, Any]) -> Carbon:
    grams = float(row["grams"])
    low, high = float(row.get("low", grams)), float(row.get("high", grams))
    estimate = Estimate(grams, low, high, _how(source), "g CO2e/kWh", f"{row['name']}: {_cited(source)}")
    return Carbon(country=row["country"], grams=estimate, date=str(source["date"]))
