"""The ledger cut by lever, kind or trial: parts that sum to the total, exactly and as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any, Literal

from steelyard.money.ledger import EXACT, Entry, EntryKind, Ledger
from steelyard.units import Money

By = Literal["lever", "kind", "trial"]
BYS: tuple[By, ...] = ("lever", "kind", "trial")
RUN = "the run itself"
"""What no trial took: reading data, weighing, the refit, idle cores, energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a ledger: its amount, the lines it is made of, the trials they belong to, and its range."""

    name: str
    amount: Money
    lines: int
    trials: tuple[int, ...]
    low: Money
    high: Money


def parts(ledger: Ledger, by: By, levers: Mapping[int, str]) -> tuple[Part, ...]:
    """Cut a ledger; every line falls into one part, so the parts sum to the total exactly.

    Parameters
    ----------
    ledger
        What was spent and returned.
    by
        ``lever``: the trials that the same lever led to share a part; ``kind``; ``trial``.
    levers
        The lever that led to each trial, by its number.
    """
    names: dict[By, Callable[[Entry], str]] = {
        "kind": lambda line: line.kind.value,
        "trial": lambda line: RUN if line.trial is None else f"trial {line.trial}",
        "lever": lambda line: RUN if line.trial is None else levers.get(line.trial, RUN),
    }
    name = names[by]
    groups: dict[str, list[Entry]] = {}
    for line in ledger:
        groups.setdefault(name(line), []).append(line)
    if by == "kind":
        groups.pop(EntryKind.NOTE.value, None)  # their amounts are 0
        groups = {kind.value: groups[kind.value] for kind in EntryKind if kind.value in groups}
    return tuple(_part(ledger, name, lines) for name, lines in groups.items())


def _part(ledger: Ledger, name: str, lines: Sequence[Entry]) -> Part:
    trials = tuple(dict.fromkeys(line.trial for line in lines if line.trial is not None))
    ends = [_ends(line) for line in lines]
    with localcontext(EXACT):
        low, high = (sum((pair[i] for pair in ends), start=Decimal(0)) for i in (0, 1))
    return Part(
        name=name,
        amount=ledger.sum(lines),
        lines=len(lines),
        trials=trials,
        low=Money(low, ledger.currency),
        high=Money(high, ledger.currency),
    )


def _ends(line: Entry) -> tuple[Decimal, Decimal]:
    """Return the least and the most that a line may come to, by the range of its quantity."""
    low, high = (line.quantity if end is None else end for end in (line.low, line.high))
    with localcontext(EXACT):
        ends = sorted((line.unit_price.amount * low, line.unit_price.amount * high))
    return ends[0], ends[1]


def shown(amounts: Sequence[Decimal], places: int) -> list[Decimal]:
    """Round amounts so that what is shown sums to the rounded total: no reader finds a cent missing.

    Each is rounded down, and the units of the last digit that are then short of the total go to the largest
    remainders (the method of Hamilton, as seats are dealt to states); so none is off by a whole last digit.

    Examples
    --------
    >>> [str(part) for part in shown([Decimal("0.335"), Decimal("0.335"), Decimal("0.33")], 2)]
    ['0.34', '0.33', '0.33']
    """
    unit = Decimal(1).scaleb(-places)
    with localcontext(Context(prec=120)):
        total = sum(amounts, start=Decimal(0)).quantize(unit)
        floors = [amount.quantize(unit, rounding=ROUND_FLOOR) for amount in amounts]
        short = int((total - sum(floors, start=Decimal(0))) / unit)
        left = [amount - floor for amount, floor in zip(amounts, floors, strict=True)]
        first = sorted(range(len(amounts)), key=lambda i: (-left[i], i))[:short]
        return [floor + unit if i in set(first) else floor for i, floor in enumerate(floors)]


def places_for(amounts: Sequence[Decimal]) -> int:
    """Return the digits after the point that show the smallest amount with two digits that count; 2 to 12.

    Examples
    --------
    >>> places_for([Decimal("12.5"), Decimal("0.3")]), places_for([Decimal("0.00071"), Decimal(0)])
    (2, 5)
    """
    least = min((abs(amount) for amount in amounts if amount), default=Decimal(1))
    return min(12, max(2, 1 - least.adjusted()))


def table(ledger: Ledger, by: By, levers: Mapping[int, str]) -> dict[str, Any]:
    """Return a cut as plain JSON: exact amounts as strings, the parts summing to ``total`` to the last digit."""
    found = parts(ledger, by, levers)
    rounded = shown([part.amount.amount for part in found], places_for([part.amount.amount for part in found]))
    return {
        "by": by,
        "currency": ledger.currency,
        "total": _text(ledger.total),
        "spent": _text(ledger.spent),
        "returned": _text(ledger.returned),
        "shown": f"{sum(rounded, start=Decimal(0)):f}",
        "beside": _beside(ledger),
        "parts": [
            {
                by: part.name,
                "amount": _text(part.amount),
                "shown": f"{amount:f}",
                "low": _text(part.low),
                "high": _text(part.high),
                "lines": part.lines,
                "trials": list(part.trials),
            }
            for part, amount in zip(found, rounded, strict=True)
        ],
    }


def _beside(ledger: Ledger) -> list[str]:
    """Return a sentence for each quantity that has no price of its own, such as energy that a cloud's includes."""
    return [
        f"{line.what[:1].upper()}{line.what[1:]}: {line.quantity.normalize():f} {line.unit}{_span(line)}, "
        f"{line.how.value}: {line.source}."
        for line in ledger
        if line.kind is EntryKind.NOTE and line.unit
    ]


def _span(line: Entry) -> str:
    if line.low is None or line.high is None or line.low == line.high:
        return ""
    return f" ({line.low.normalize():f} to {line.high.normalize():f})"


def _text(money: Money) -> str:
    return f"{money.amount:f}"
