"""The ledger: an append-only list of what was spent, whose total is exactly the sum of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from steelyard.money.prices import Price, Prices
from steelyard.units import How, Money, Seconds

QUANTUM = Decimal("0.000001")
"""Quantities are rounded to this before they are priced, so that amounts and their sums stay exact."""


class EntryKind(StrEnum):
    """What money went to."""

    COMPUTE = "compute"
    LABELS = "labels"
    SERVING = "serving"
    NOTE = "note"
    """Nothing was spent: a fallback or a cap that the user should know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: ``quantity`` of ``unit`` at ``unit_price`` comes to ``amount``.

    ``how`` tells how the quantity is known, ``source`` where the price comes from; ``trial`` is ``None`` for
    what the run as a whole took.
    """

    kind: EntryKind
    what: str
    quantity: Decimal
    unit: str
    unit_price: Money
    amount: Money
    how: How = How.MEASURED
    source: str = ""
    trial: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; amounts are strings, so that none of their digits is lost."""
        return {
            "kind": self.kind.value,
            "what": self.what,
            "quantity": str(self.quantity),
            "unit": self.unit,
            "unit_price": _money_to_json(self.unit_price),
            "amount": _money_to_json(self.amount),
            "how": self.how.value,
            "source": self.source,
            "trial": self.trial,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Read what :meth:`to_json` wrote."""
        return cls(
            kind=EntryKind(data["kind"]),
            what=data["what"],
            quantity=Decimal(data["quantity"]),
            unit=data["unit"],
            unit_price=Money.parse(data["unit_price"]),
            amount=Money.parse(data["amount"]),
            how=How(data["how"]),
            source=data["source"],
            trial=data["trial"],
        )


def _money_to_json(money: Money) -> str:
    return f"{money.amount:f} {money.currency}"


def compute_entry(what: str, core_seconds: Seconds, prices: Prices, *, trial: int | None = None) -> Entry:
    """Price time on processor cores: wall seconds times the cores held.

    Examples
    --------
    >>> compute_entry("trial 3", Seconds(7200), Prices.load(), trial=3).quantity
    Decimal('2.000000')
    """
    hours = Decimal(repr(float(core_seconds))) / 3600
    return _priced(EntryKind.COMPUTE, what, hours, prices.core_hour, trial)


def label_entry(what: str, labels: int, prices: Prices, *, trial: int | None = None) -> Entry:
    """Price labels that were bought.

    Raises
    ------
    PricesInvalid
        If no price of a label is in force.
    """
    return _priced(EntryKind.LABELS, what, Decimal(labels), prices.need_label(), trial)


def call_entry(what: str, calls: int, price: str, prices: Prices, trial: int | None = None) -> Entry:
    """Price decisions that somebody else's endpoint was asked for; ``price`` is that of one, as the spec says it.

    Raises
    ------
    ValueError
        If it is in another currency than the prices.
    """
    each = Price(Money.parse(price), "decision", "incumbent.per_call of the spec")
    if each.amount.currency != prices.currency:
        raise ValueError(f"{what}: {each.amount.currency} cannot be added to a ledger in {prices.currency}")
    return replace(_priced(EntryKind.SERVING, what, Decimal(calls), each, trial), how=How.ASSUMED)


def note_entry(what: str, prices: Prices, *, trial: int | None = None) -> Entry:
    """Record something that cost nothing but that the user should know, such as a fallback."""
    nothing = Money(Decimal(0), prices.currency)
    return Entry(
        kind=EntryKind.NOTE, what=what, quantity=Decimal(0), unit="", unit_price=nothing, amount=nothing, trial=trial
    )


def _priced(kind: EntryKind, what: str, quantity: Decimal, price: Price, trial: int | None) -> Entry:
    if not quantity.is_finite() or quantity < 0:
        raise ValueError(f"{what}: a quantity of {quantity} {price.per} cannot be priced; it must be 0 or more")
    rounded = quantity.quantize(QUANTUM, rounding=ROUND_HALF_UP)
    return Entry(
        kind=kind,
        what=what,
        quantity=rounded,
        unit=price.per,
        unit_price=price.amount,
        amount=price.amount * rounded,
        how=How.MEASURED,
        source=price.cited,
        trial=trial,
    )


@dataclass(slots=True)
class Ledger:
    """Append-only record of costs in one currency. A line is never edited; a correction is a new line."""

    currency: str
    _entries: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[Entry], currency: str) -> Ledger:
        """Build a ledger from lines that were written before."""
        ledger = cls(currency)
        for entry in entries:
            ledger.append(entry)
        return ledger

    def append(self, entry: Entry) -> None:
        """Add one line.

        Raises
        ------
        ValueError
            If it is in another currency than the ledger.
        """
        if entry.amount.currency != self.currency:
            raise ValueError(
                f"{entry.what}: {entry.amount.currency} cannot be added to a ledger in {self.currency}; "
                "convert with a dated rate first"
            )
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def total(self) -> Money:
        """Everything spent; exactly the sum of the lines."""
        return self._sum(self._entries)

    def totals(self) -> dict[str, Money]:
        """Return what was spent by kind, in the order of the kinds; notes are left out."""
        kinds = [k for k in EntryKind if k is not EntryKind.NOTE]
        return {k.value: self._sum(e for e in self._entries if e.kind is k) for k in kinds}

    def of_trial(self, trial: int) -> Money:
        """Return what one trial cost."""
        return self._sum(e for e in self._entries if e.trial == trial)

    def _sum(self, entries: Iterable[Entry]) -> Money:
        return sum((e.amount for e in entries), start=Money(Decimal(0), self.currency))
