"""What the machine costs that the server runs on."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

from steelyard.errors import ServingRefused
from steelyard.units import Money

CATALOGUE = "catalogue"


@dataclass(frozen=True, slots=True)
class MachinePrice:
    """The price of the whole machine for an hour, who says so, and how many processors it has."""

    per_hour: Money
    source: str
    processors: int

    @property
    def per_second(self) -> float:
        """The price of the whole machine for a second, in its currency."""
        return float(self.per_hour.amount) / 3600

    @property
    def per_processor_second(self) -> float:
        """The price of one processor for a second, in its currency."""
        return self.per_second / self.processors


def parse_price(text: str | None) -> MachinePrice | None:
    """Read ``"0.10 USD"``, or ``catalogue``: the price of a core-hour in ``steelyard prices``, for each processor.

    Raises
    ------
    ServingRefused
        If it is no amount of money above 0.

    Examples
    --------
    >>> parse_price("0.10 USD").per_hour
    Money(amount=Decimal('0.10'), currency='USD')
    """
    if text is None:
        return None
    processors = len(os.sched_getaffinity(0))
    if text == CATALOGUE:
        catalogue: Any = importlib.import_module("steelyard.money")  # half a second that most servers need not spend
        prices = catalogue.Prices.load()
        price = prices.core_hour
        return MachinePrice(price.amount * processors, prices.cite(price), processors)
    try:
        amount = Money.parse(text)
    except ValueError as problem:
        raise ServingRefused(f"the price of the machine for an hour: {problem}, or catalogue") from None
    if not amount.amount > 0:
        raise ServingRefused(f"the price of the machine for an hour must be above 0; got {text}: leave it out instead")
    return MachinePrice(amount, "given with --price-per-hour", processors)
