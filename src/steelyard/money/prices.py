"""Prices in force: one dated, sourced catalogue in the package, overridden by a file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from steelyard.errors import SpecInvalid, nearest
from steelyard.units import Money

UNITS = {"core_hour": "core-hour", "label": "label"}
"""What can be priced, and the unit its price is per."""
_KEYS = ("amount", "discount", "source", "date")


class PricesInvalid(SpecInvalid):
    """A file of prices that cannot be used; the message holds all of its problems, one a line."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs, who says so, and as of when."""

    amount: Money
    per: str
    source: str
    date: str = ""

    @property
    def cited(self) -> str:
        """The source with its date, as it is printed beside a figure."""
        return f"{self.source}, {self.date}" if self.date else self.source

    def to_json(self) -> dict[str, str]:
        """Return plain JSON; the amount keeps every digit."""
        return {**asdict(self), "amount": f"{self.amount.amount:f} {self.amount.currency}"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Price:
        """Read what :meth:`to_json` wrote."""
        return cls(Money.parse(data["amount"]), data["per"], data["source"], data["date"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices in force, all in one currency. ``label`` is ``None`` until somebody gives a price for it."""

    core_hour: Price
    label: Price | None = None

    @property
    def currency(self) -> str:
        """The currency of every price."""
        return self.core_hour.amount.currency

    def need_label(self) -> Price:
        """Return the price of a label.

        Raises
        ------
        PricesInvalid
            If there is none: a label costs what the user says it costs.
        """
        if self.label is None:
            raise PricesInvalid("a label has no price; put `label: 0.05 USD` into a YAML file and name it in `prices:`")
        return self.label

    @classmethod
    def load(cls, path: Path | None = None) -> Prices:
        """Read the package's catalogue, then lay the user's file over it.

        Raises
        ------
        PricesInvalid
            If the file cannot be read, or names an unknown price, a negative amount, or a second currency;
            all problems are reported at once.

        Examples
        --------
        >>> Prices.load().core_hour.per
        'core-hour'
        """
        own = _own_catalogue()
        return own if path is None else _laid_over(own, path)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        return {"core_hour": self.core_hour.to_json(), "label": self.label.to_json() if self.label else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prices:
        """Read what :meth:`to_json` wrote."""
        label = data["label"]
        return cls(core_hour=Price.from_json(data["core_hour"]), label=Price.from_json(label) if label else None)


def _own_catalogue() -> Prices:
    text = files("steelyard.money").joinpath("prices.yaml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text)
    return Prices(core_hour=_row("core_hour", rows["core_hour"], None, "prices.yaml of the package"))


def _laid_over(own: Prices, path: Path) -> Prices:
    rows = _read(path)
    problems = [
        f"{path}: no price named {name!r}{nearest(name, UNITS)}; known: {', '.join(UNITS)}"
        for name in rows
        if name not in UNITS
    ]
    given: dict[str, Price] = {}
    for name in (n for n in UNITS if n in rows):
        try:
            given[name] = _row(name, rows[name], getattr(own, name), str(path))
        except ValueError as problem:
            problems.append(f"{path}: {name}: {problem}")
    if problems:
        raise PricesInvalid("\n".join(problems))
    return _one_currency(replace(own, **given), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        why = "not UTF-8" if isinstance(problem, UnicodeDecodeError) else problem.strerror
        raise PricesInvalid(
            f"{path}: the prices cannot be read ({why}); check `prices:` in the spec, or --prices"
        ) from problem
    except yaml.YAMLError as problem:
        raise PricesInvalid(f"{path}: the prices are not YAML ({problem})") from problem
    if not isinstance(rows, dict):
        shown = repr(rows) if len(repr(rows)) <= 60 else f"{repr(rows)[:60]} ..."
        raise PricesInvalid(f"{path}: must map names to prices, for example `core_hour: 0.04 USD`; got {shown}")
    return {str(name): row for name, row in rows.items()}


def _row(name: str, given: object, base: Price | None, origin: str) -> Price:
    row: Mapping[str, Any] = given if isinstance(given, dict) else {"amount": given}
    for key in row:
        if key not in _KEYS:
            raise ValueError(f"has no part {key!r}{nearest(key, _KEYS)}; known: {', '.join(_KEYS)}")
    share = 1 - _discount(row.get("discount", 0))
    if "amount" in row:
        amount = Money.parse(row["amount"])
        if amount.amount < 0:
            raise ValueError(f"must be 0 or more; got {row['amount']!r}")
        return Price(amount * share, UNITS[name], str(row.get("source", origin)), _date(row.get("date", "")))
    if base is None or "discount" not in row:
        raise ValueError("needs an `amount`, for example `amount: 0.04 USD`")
    return replace(base, amount=base.amount * share, source=f"{base.source}, less the discount in {origin}")


def _discount(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise ValueError(f"discount must be a share from 0 to 1; got {given!r}")
    return Decimal(str(given))


def _date(given: object) -> str:
    try:
        return date.fromisoformat(str(given)).isoformat() if given else ""
    except ValueError:
        raise ValueError(f"date must be a day such as 2026-11-22; got {given!r}") from None


def _one_currency(prices: Prices, path: Path) -> Prices:
    label = prices.label
    if label is not None and label.amount.currency != prices.currency:
        raise PricesInvalid(
            f"{path}: label is in {label.amount.currency} but core_hour in {prices.currency}; "
            f"give both in one currency, for example `core_hour: 0.04 {label.amount.currency}`"
        )
    return prices
