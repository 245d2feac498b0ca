"""What outcomes are worth: amounts of money, or shares of a column that holds the money at stake."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from steelyard.errors import nearest
from steelyard.spec._parts import Cash, Part, Word
from steelyard.spec._words import Place, Problem, Words, dotted
from steelyard.units import Money

OUTCOMES = ("true_positive", "false_positive", "true_negative", "false_negative")
PLAIN = ("right", "wrong")
TABLES = ("matrix", "cost")
UNITS = ("over", "under")

_WAYS = {
    "outcomes of a positive class": OUTCOMES,
    "right and wrong": PLAIN,
    "a matrix": ("matrix",),
    "a matrix of costs": ("cost",),
    "units of error": UNITS,
}
"""The ways of speaking of value, each by the fields that belong to it; a spec keeps to one."""
_FORM = (
    "an amount of money, such as 5 USD (negative: a loss), or a share of a column, such as "
    "{column: amount, times: -0.6}"
)


@dataclass(frozen=True, slots=True)
class Share:
    """An outcome's worth as a share of a column that holds the money at stake in the row, and an amount beside it."""

    column: str
    times: float
    plus: Money | None = None

    @property
    def negative(self) -> Share:
        """The same as a cost."""
        return replace(self, times=-self.times, plus=None if self.plus is None else self.plus * -1)

    def to_json(self) -> dict[str, object]:
        """Return it as it is written in a spec."""
        plus = {} if self.plus is None else {"plus": _written(self.plus)}
        return {"column": self.column, "times": self.times, **plus}


Worth = Money | Share


def _written(worth: Worth) -> Any:
    return worth.to_json() if isinstance(worth, Share) else f"{worth.amount:f} {worth.currency}"


def _refusal(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def _worth(value: object) -> Worth:
    if isinstance(value, Share):
        return value
    if isinstance(value, Mapping):
        return _share(value)
    try:
        return _money(value)
    except ValueError:
        got = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
        raise _refusal(f"must be {_FORM}; got {got}") from None


def _share(given: Mapping[Any, Any]) -> Share:
    """Read ``{column: amount, times: -0.6, plus: 5 USD}``; ``times`` is 1 where it is left out."""
    for name in given:
        if name not in ("column", "times", "plus"):
            near = nearest(name, ("column", "times", "plus"))
            raise _refusal(f"a share of a column has no {name!r}{near}; write it as {{column: amount, times: -0.6}}")
    column, times, plus = given.get("column"), given.get("times", 1), given.get("plus")
    if not isinstance(column, str | int | float) or isinstance(column, bool) or str(column) == "":
        raise _refusal("a share of a column must name it, such as {column: amount, times: -0.6}")
    try:
        factor = math.nan if isinstance(times, bool) else float(times)
    except (TypeError, ValueError):
        factor = math.nan
    if not math.isfinite(factor):
        raise _refusal(f"the times of column {str(column)!r} must be a number, such as -0.6; got {times!r}")
    try:
        return Share(str(column), factor, None if plus is None else _money(plus))
    except ValueError:
        raise _refusal(f"plus must be an amount of money, such as 5 USD; got {plus!r}") from None


def _money(value: object) -> Money:
    money = Money.parse(value)
    if not math.isfinite(float(money.amount)):
        raise ValueError("too large")
    return money


_SHARE_SCHEMA = {
    "type": "object",
    "properties": {"column": {"type": "string"}, "times": {"type": "number"}, "plus": {"type": ["string", "number"]}},
    "required": ["column"],
    "additionalProperties": False,
}
Stake = Annotated[
    Any,
    BeforeValidator(_worth),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [{"type": ["string", "number"], "examples": ["5 USD"]}, _SHARE_SCHEMA]}),
    Words(_FORM),
]
"""What an outcome is worth, in a spec; a :data:`Worth` once it is read."""
Table = dict[Word, Annotated[dict[Word, Stake], Words("a mapping of decided classes to amounts")]]


class Value(Part):
    """Money that outcomes are worth. Outcomes that are not named are worth nothing."""

    true_positive: Stake | None = Field(None, description="Positive, and called so.")
    false_positive: Stake | None = Field(None, description="Negative, but called positive.")
    true_negative: Stake | None = Field(None, description="Negative, and called so.")
    false_negative: Stake | None = Field(None, description="Positive, but called negative.")
    right: Stake | None = Field(None, description="A right decision, whatever the class.")
    wrong: Stake | None = Field(None, description="A wrong decision, whatever the class.")
    matrix: Table | None = Field(None, description="By true class, and by the class decided on, what that is worth.")
    cost: Table | None = Field(None, description="As matrix, but what it costs: 5 USD is a loss.")
    over: Stake | None = Field(None, description="A predicted number: each unit too much; a loss, so 0 or less.")
    under: Stake | None = Field(None, description="A predicted number: each unit too little; a loss, so 0 or less.")
    known: tuple[Word, ...] = Field(
        (),
        description="Columns of amounts that are known when the decision is made: inputs, which decide row by row. "
        "Others are never inputs; the mean of each class decides in their place.",
    )
    currency: Annotated[str, Words("three capital letters, such as EUR")] | None = Field(
        None, pattern="^[A-Z]{3}$", description="Currency of amounts in columns; unset: of the other amounts, or USD."
    )
    review: Cash | None = Field(
        None, description="A decision left to a person, who is taken to be right; a loss, so 0 or less."
    )
    per: Literal["decision"] = Field("decision", description="What the amounts are per.")

    def worths(self) -> Iterator[tuple[Place, Worth]]:
        """Yield every outcome that is named, with where it stands; those under ``cost`` as they are written."""
        for name in (*OUTCOMES, *PLAIN, *UNITS):
            if (worth := getattr(self, name)) is not None:
                yield (name,), worth
        for name in TABLES:
            for true, row in (getattr(self, name) or {}).items():
                for decided, worth in row.items():
                    yield (name, true, decided), worth

    def amounts(self) -> Iterator[tuple[Place, Money]]:
        """Yield every amount of money but zeros, which are zero in any currency, with where it stands."""
        for place, worth in self.worths():
            money = worth.plus if isinstance(worth, Share) else worth
            if money is not None and money.amount:
                yield place, money
        if self.review is not None and self.review.amount:
            yield ("review",), self.review

    def columns(self) -> dict[str, Place]:
        """Return the columns that hold amounts, each with where it is named first."""
        found: dict[str, Place] = {}
        for place, worth in self.worths():
            if isinstance(worth, Share):
                found.setdefault(worth.column, (*place, "column"))
        return found

    def money_in(self) -> str:
        """Return the currency of the amounts."""
        return self.currency or next((money.currency for _, money in self.amounts()), "USD")


def broken(value: Value, ignored: tuple[str, ...]) -> Iterator[Problem]:
    """Yield what a value says that cannot be, whatever the data; ``ignored`` are the columns that are set aside."""
    used = {way: [n for n in names if getattr(value, n) is not None] for way, names in _WAYS.items()}
    said = [way for way, names in used.items() if names]
    if not list(value.worths()):
        every = ", ".join((*OUTCOMES, *PLAIN, *TABLES, *UNITS))
        yield Problem(("value",), f"names no outcome; give one or more of {every}")
    if len(said) > 1:
        mixed = ", ".join(name for way in said[1:] for name in used[way])
        yield Problem(("value",), f"mixes {mixed} with {said[0]}; use one way of speaking")
    yield from _units(value)
    yield from _known(value, ignored)
    if value.currency is not None:
        for place, money in value.amounts():
            if money.currency != value.currency:
                yield Problem(("value", *place), f"is in {money.currency}, and value.currency is {value.currency}")


def _units(value: Value) -> Iterator[Problem]:
    given = [name for name in UNITS if getattr(value, name) is not None]
    if len(given) == 1:
        other = next(name for name in UNITS if name not in given)
        yield Problem(("value",), f"has {given[0]} without {other}: one way to err would be free; give both")
    for name in given:
        if _gains(getattr(value, name)):
            yield Problem(("value", name), "must be a loss: what a unit of error costs, such as -2 USD")
    if len(given) == len(UNITS) and any(_is_nothing(getattr(value, name)) for name in UNITS):
        yield Problem(("value",), "has over or under at 0: no prediction would be best; give a loss for each")
    if value.review is not None and value.review.amount > Decimal(0):
        yield Problem(("value", "review"), "must be a loss: what a person's decision costs, such as -2 USD")


def _gains(worth: Worth) -> bool:
    if isinstance(worth, Money):
        return worth.amount > 0
    return worth.times > 0 or (worth.plus is not None and worth.plus.amount > 0)


def _is_nothing(worth: Worth) -> bool:
    if isinstance(worth, Money):
        return not worth.amount
    return not worth.times and (worth.plus is None or not worth.plus.amount)


def _known(value: Value, ignored: tuple[str, ...]) -> Iterator[Problem]:
    columns = value.columns()
    for place, name in enumerate(value.known):
        if name not in columns:
            there = f"; amounts stand in {', '.join(map(repr, columns))}" if columns else ""
            yield Problem(
                ("value", "known", place), f"no outcome is a share of column {name!r}{nearest(name, columns)}{there}"
            )
        if name in ignored:
            yield Problem(
                ("value", "known", place),
                f"{name!r} is listed under columns.ignore too: a decision cannot read it there; keep one of the two",
            )


def where(place: Place) -> str:
    """Write a place within a value as one word.

    Examples
    --------
    >>> where(("matrix", "good", "bad"))
    'value.matrix.good.bad'
    """
    return dotted(("value", *place))
