"""Assumptions that may be a range: a figure, a triangle of three, or a normal of two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, Literal

from pydantic_core import PydanticCustomError, core_schema

from steelyard.spec._words import Words
from steelyard.units import Money

_SHAPES = {"triangular": ("low", "likely", "high"), "normal": ("mean", "sd")}


@dataclass(frozen=True, slots=True)
class Spread:
    """What is assumed of a figure: the figure, or a range of it.

    A triangular range rises from ``low`` to ``middle`` and falls to ``high``; a normal one has the mean ``middle`` and
    the standard deviation ``sd``. Whatever lies beyond ``least`` or ``most`` counts as that bound. ``currency`` is set
    where it is money.

    Examples
    --------
    >>> Spread.triangular(1, 2, 4).at(0.5), Spread.normal(10, 2).at(0.5), Spread.exact(3).at(0.95)
    (2.267949192431123, 10.0, 3.0)
    """

    shape: Literal["exact", "triangular", "normal"]
    low: float
    middle: float
    high: float
    sd: float = 0.0
    least: float = -math.inf
    most: float = math.inf
    currency: str | None = None

    @classmethod
    def exact(cls, value: float, currency: str | None = None) -> Spread:
        """Return a figure without a range."""
        return cls("exact", float(value), float(value), float(value), currency=currency)

    @classmethod
    def triangular(cls, low: float, likely: float, high: float) -> Spread:
        """Return a triangular range."""
        return cls("exact" if low == high else "triangular", float(low), float(likely), float(high))

    @classmethod
    def normal(cls, mean: float, sd: float) -> Spread:
        """Return a normal range."""
        return cls("normal", -math.inf, float(mean), math.inf, float(sd))

    @property
    def certain(self) -> bool:
        """Whether there is no range."""
        return self.shape == "exact"

    @property
    def centre(self) -> float:
        """The median, which lies between any two points of equal distance in probability."""
        return self.at(0.5)

    def at(self, share: float) -> float:
        """Return the point that a share (0 to 1, ends excluded) of the range lies below."""
        return min(max(self._at(share), self.least), self.most)

    def _at(self, share: float) -> float:
        if self.shape == "normal":
            return NormalDist(self.middle, self.sd).inv_cdf(share)
        width = self.high - self.low
        if self.certain or width == 0:
            return self.middle
        if share * width <= self.middle - self.low:
            return self.low + math.sqrt(share * width * (self.middle - self.low))
        return self.high - math.sqrt((1 - share) * width * (self.high - self.middle))

    def written(self) -> Any:
        """Return it as a spec writes it."""

        def one(value: float) -> float | str:
            return value if self.currency is None else f"{_plain(value)} {self.currency}"

        if self.certain:
            return one(self.middle)
        if self.shape == "normal":
            return {"mean": one(self.middle), "sd": one(self.sd)}
        return {"low": one(self.low), "likely": one(self.middle), "high": one(self.high)}


@dataclass(frozen=True, slots=True)
class Within(Words):
    """Marks a field that takes a figure between two bounds, or a range of it; ``text`` reads after "must be"."""

    least: float = 0.0
    most: float = math.inf
    money: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read with :meth:`read`, write as a spec does."""
        del source, handler
        written = core_schema.plain_serializer_function_ser_schema(lambda value: value.written())
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the figure and the two ranges."""
        del schema, handler
        scalar: dict[str, Any] = {"type": ["string", "number"] if self.money else "number"}
        ranges = [
            {
                "type": "object",
                "properties": dict.fromkeys(names, scalar),
                "required": list(names),
                "additionalProperties": False,
            }
            for names in _SHAPES.values()
        ]
        return {"anyOf": [scalar, *ranges]}

    def read(self, given: object) -> Spread:
        """Return what was given as a spread.

        Raises
        ------
        ValueError
            If it is neither a figure nor a range within the bounds, or a range upside down.
        """
        if isinstance(given, Spread):
            return given
        if not isinstance(given, Mapping):
            number, currency = _figure(given, money=self.money)
            self._bound(number)
            return Spread("exact", number, number, number, 0.0, self.least, self.most, currency)
        names = next((n for n in _SHAPES.values() if set(given) == set(n)), None)
        if names is None:
            got = ", ".join(map(repr, given)) or "an empty mapping"
            raise _refusal(f"must be {self.text}; got {got}")
        found = [_figure(given[name], money=self.money) for name in names]
        currency = _one_currency(found)
        numbers = [number for number, _ in found]
        if len(numbers) == 2:
            return self._normal(numbers[0], numbers[1], currency)
        return self._triangular(numbers[0], numbers[1], numbers[2], currency)

    def _normal(self, mean: float, sd: float, currency: str | None) -> Spread:
        if sd < 0:
            raise _refusal(f"has a standard deviation below 0 ({sd:g}); give sd as 0 or more")
        self._bound(mean)
        if sd == 0:
            return Spread("exact", mean, mean, mean, 0.0, self.least, self.most, currency)
        return Spread("normal", -math.inf, mean, math.inf, sd, self.least, self.most, currency)

    def _triangular(self, low: float, likely: float, high: float, currency: str | None) -> Spread:
        if not low <= likely <= high:
            raise _refusal(
                f"is upside down: low {low:g}, likely {likely:g}, high {high:g}; write low <= likely <= high"
            )
        for end in (low, high):
            self._bound(end)
        shape: Literal["exact", "triangular"] = "exact" if low == high else "triangular"
        return Spread(shape, low, likely, high, 0.0, self.least, self.most, currency)

    def _bound(self, number: float) -> None:
        if not self.least <= number <= self.most:
            raise _refusal(f"must be {self.text}; got {number:g}")


def _figure(given: object, *, money: bool) -> tuple[float, str | None]:
    if money:
        amount = Money.parse(given)
        return float(amount.amount), amount.currency
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError("not a finite number")
    return float(given), None


def _one_currency(found: list[tuple[float, str | None]]) -> str | None:
    currencies = list(dict.fromkeys(currency for _, currency in found))
    if len(currencies) > 1:
        raise _refusal(f"mixes {' and '.join(map(str, currencies))}; write one range in one currency")
    return currencies[0]


def _refusal(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def _plain(value: float) -> str:
    """Write a number without an exponent and without needless zeros."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


_OR = "or a range of it: {low, likely, high} or {mean, sd}"

Rate = Annotated[Spread, Within(f"a rate a year from 0 to 10, such as 0.08, {_OR}", most=10)]
"""A rate of interest a year."""
Share = Annotated[Spread, Within(f"a share from 0 to 1, {_OR}", most=1)]
Number = Annotated[Spread, Within(f"a number of 0 or more, {_OR}")]
Spent = Annotated[Spread, Within(f"an amount of money of 0 or more, such as 50 USD, {_OR}", money=True)]
"""Money that is paid."""
