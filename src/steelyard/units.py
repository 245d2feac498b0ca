"""Quantities that carry their unit: money, seconds, and estimates that know how they are known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Seconds(float):
    """A duration in seconds: a float that a type checker tells apart from a bare one."""

    __slots__ = ()


NO_TIME = Seconds(0.0)


class How(StrEnum):
    """How a figure is known."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency (ISO 4217 code).

    Examples
    --------
    >>> Money.parse("5 USD") + Money.parse("0.25 USD")
    Money(amount=Decimal('5.25'), currency='USD')
    >>> str(Money(Decimal("1234.5"), "EUR"))
    '1234.50 EUR'
    """

    amount: Decimal
    currency: str = "USD"

    @classmethod
    def parse(cls, text: object, currency: str = "USD") -> Money:
        """Read ``"5 USD"``, ``"USD 5"``, ``5`` or ``"-0.04 EUR"``; a bare number is in ``currency``.

        Raises
        ------
        ValueError
            If it is not an amount with an optional three-letter currency.
        """
        if isinstance(text, Money):
            return text
        if isinstance(text, bool) or text is None:
            raise ValueError(f"{text!r} is not an amount of money; write for example '5 USD'")
        number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
        found = re.fullmatch(rf"\s*([A-Z]{{3}})?\s*({number})\s*([A-Z]{{3}})?\s*", str(text))
        if not found or (found[1] and found[3]):
            raise ValueError(f"{text!r} is not an amount of money; write for example '5 USD'")
        return cls(Decimal(found[2]), found[1] or found[3] or currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}; convert with a dated rate first")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        return Money(self.amount * factor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __str__(self) -> str:
        digits = 2 if abs(self.amount) >= Decimal("0.1") or not self.amount else 6
        return f"{self.amount:.{digits}f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95% interval, its unit, and how it is known.

    ``low`` and ``high`` equal ``value`` where there is no spread to report.

    Examples
    --------
    >>> Estimate(0.79, 0.73, 0.84).overlaps(0.75)
    True
    >>> Estimate(3.0, 3.0, 3.0, unit="ms").to_json()["unit"]
    'ms'
    """

    value: float
    low: float
    high: float
    how: How = How.MEASURED
    unit: str = ""
    source: str = ""

    @classmethod
    def exact(cls, value: float, *, how: How = How.MEASURED, unit: str = "", source: str = "") -> Estimate:
        """Build an estimate without spread."""
        return cls(value, value, value, how, unit, source)

    def overlaps(self, other: float) -> bool:
        """Tell whether ``other`` lies in the interval."""
        return self.low <= other <= self.high

    def scaled(self, factor: float, *, unit: str, how: How | None = None, source: str = "") -> Estimate:
        """Return this estimate times a positive factor, in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, how or self.how, unit, source)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON; a figure that is not finite becomes ``null``."""
        numbers = {k: (v if math.isfinite(v) else None) for k, v in self._ends().items()}
        rest = {"how": self.how.value, "unit": self.unit, "source": self.source}
        return {**numbers, **{k: v for k, v in rest.items() if v}}

    def _ends(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Estimate:
        """Read what :meth:`to_json` wrote."""
        value, low, high = (math.nan if data[k] is None else float(str(data[k])) for k in ("value", "low", "high"))
        how = How(str(data.get("how", How.MEASURED.value)))
        return cls(value, low, high, how, str(data.get("unit", "")), str(data.get("source", "")))
