"""The ledger: an append-only list of what was spent and returned, whose total is exactly the sum of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, localcontext
from enum import StrEnum
from typing import Any

from steelyard.money.price import Price
from steelyard.money.prices import Prices
from steelyard.units import How, Money, Seconds

QUANTUM = Decimal("0.000001")
"""Quantities are rounded to this before they are priced, so that amounts and their sums stay exact."""
EXACT = Context(prec=120, traps=[Inexact])
"""Arithmetic of amounts: 120 digits, and an error rather than a rounded one."""


class EntryKind(StrEnum):
    """What money went to, or came from."""

    COMPUTE = "compute"
    ACCELERATOR = "accelerator"
    MEMORY = "memory"
    ENERGY = "energy"
    LABELS = "labels"
    PEOPLE = "people"
    STORAGE = "storage"
    SERVING = "serving"
    EGRESS = "egress"
    VALUE = "value"
    """What was returned: its amount is a cost below 0, so that one sum is the balance."""
    NOTE = "note"
    """Nothing was spent: a fallback or a cap that the user should know of, or a quantity that has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: ``quantity`` of ``unit`` at ``unit_price`` comes to ``amount``.

    ``how`` tells how the quantity is known, ``source`` where the price comes from; ``trial`` is ``None`` for
    what the run as a whole took. ``low`` and ``high`` are the range of a quantity that is not known exactly. The
    amount is above 0 for what was spent, below 0 for what was returned.
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
    low: Decimal | None = None
    high: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; amounts are strings, so that none of their digits is lost."""
        plain = {
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
        ends = {name: str(end) for name in ("low", "high") if (end := getattr(self, name)) is not None}
        return plain | ends

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Read what :meth:`to_json` wrote."""
        ends = {name: Decimal(data[name]) for name in ("low", "high") if name in data}
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
            **ends,
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
    return entry(EntryKind.COMPUTE, what, hours, prices.core_hour, trial=trial, cited=prices.cite(prices.core_hour))


def label_entry(what: str, labels: int, prices: Prices, *, task: str | None = None, trial: int | None = None) -> Entry:
    """Price labels that were bought, by the price of their task where there is one.

    Raises
    ------
    PricesInvalid
        If no price of a label is in force.
    """
    price = prices.need_label(task)
    return entry(EntryKind.LABELS, what, Decimal(labels), price, trial=trial, cited=prices.cite(price))


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
    return entry(EntryKind.SERVING, what, Decimal(calls), each, how=How.ASSUMED, trial=trial)


def note_entry(what: str, prices: Prices, *, trial: int | None = None) -> Entry:
    """Record something that cost nothing but that the user should know, such as a fallback."""
    nothing = Money(Decimal(0), prices.currency)
    return Entry(
        kind=EntryKind.NOTE, what=what, quantity=Decimal(0), unit="", unit_price=nothing, amount=nothing, trial=trial
    )


def entry(  # the parts of a line
    kind: EntryKind,
    what: str,
    quantity: Decimal,
    price: Price,
    *,
    how: How = How.MEASURED,
    trial: int | None = None,
    ends: tuple[Decimal, Decimal] | None = None,
    cited: str = "",
) -> Entry:
    """Price a quantity of anything; ``VALUE`` counts as returned, all else as spent.

    Raises
    ------
    ValueError
        If the quantity is not a number of 0 or more, or its range is upside down.

    Examples
    --------
    >>> price = Price(Money.parse("0.25 USD"), "decision", "us")
    >>> entry(EntryKind.VALUE, "frauds stopped", Decimal(8), price).amount
    Money(amount=Decimal('-2.00000000'), currency='USD')
    """
    low, high = ends or (quantity, quantity)
    if not all(end.is_finite() and end >= 0 for end in (quantity, low, high)):
        raise ValueError(f"{what}: a quantity of {quantity} {price.per} cannot be priced; it must be 0 or more")
    if not low <= quantity <= high:
        raise ValueError(f"{what}: {quantity} {price.per} lies outside of its range, {low} to {high}; swap its ends")
    unit_price = price.amount * -1 if kind is EntryKind.VALUE else price.amount
    shown, low, high = (_settled(end) for end in (quantity, low, high))
    with localcontext(EXACT):
        amount = unit_price * shown
    return Entry(
        kind=kind,
        what=what,
        quantity=shown,
        unit=price.per,
        unit_price=unit_price,
        amount=amount,
        how=how,
        source=cited or price.cited,
        trial=trial,
        low=None if ends is None else low,
        high=None if ends is None else high,
    )


def _settled(quantity: Decimal) -> Decimal:
    with localcontext(EXACT) as context:
        context.traps[Inexact] = False
        return quantity.quantize(QUANTUM, rounding=ROUND_HALF_UP)


@dataclass(slots=True)
class Ledger:
    """Append-only record of costs and returns in one currency. A line is never edited; a correction is a new line."""

    currency: str
    _entries: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[Entry], currency: str) -> Ledger:
        """Build a ledger from lines that were written before."""
        ledger = cls(currency)
        for one in entries:
            ledger.append(one)
        return ledger

    def append(self, line: Entry) -> None:
        """Add one line.

        Raises
        ------
        ValueError
            If it is in another currency than the ledger, or its amount is not its quantity at its price.
        """
        if line.amount.currency != self.currency:
            raise ValueError(
                f"{line.what}: {line.amount.currency} cannot be added to a ledger in {self.currency}; "
                "convert with a dated rate first"
            )
        with localcontext(EXACT):
            balanced = line.unit_price * line.quantity == line.amount
        if not balanced:
            raise ValueError(
                f"{line.what}: {line.quantity} at {_money_to_json(line.unit_price)} does not come to "
                f"{_money_to_json(line.amount)}; price the quantity again"
            )
        self._entries.append(line)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def total(self) -> Money:
        """The balance, what was spent less what was returned; exactly the sum of the lines."""
        return self.sum(self._entries)

    @property
    def spent(self) -> Money:
        """Everything spent."""
        return self.sum(e for e in self._entries if e.kind is not EntryKind.VALUE)

    @property
    def returned(self) -> Money:
        """Everything returned, as an amount above 0."""
        return self.sum(e for e in self._entries if e.kind is EntryKind.VALUE) * -1

    def totals(self) -> dict[str, Money]:
        """Return the balance by kind, in the order of the kinds.

        Compute and labels are always there, other kinds where there is a line of them; notes are left out.
        """
        seen = {EntryKind.COMPUTE, EntryKind.LABELS} | {e.kind for e in self._entries}
        kinds = [k for k in EntryKind if k in seen and k is not EntryKind.NOTE]
        return {k.value: self.sum(e for e in self._entries if e.kind is k) for k in kinds}

    def of_trial(self, trial: int) -> Money:
        """Return what one trial cost."""
        return self.sum(e for e in self._entries if e.trial == trial)

    def sum(self, entries: Iterable[Entry]) -> Money:
        """Return the exact sum of some lines, in the ledger's currency."""
        with localcontext(EXACT):
            return sum((e.amount for e in entries), start=Money(Decimal(0), self.currency))
