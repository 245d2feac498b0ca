"""One price: what a unit costs, who says so, as of when; its age, and what it is in another currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from steelyard.errors import SpecInvalid
from steelyard.units import How, Money

SINGLE = {
    "core_hour": "core-hour",
    "accelerator_hour": "accelerator-hour",
    "memory_gb_hour": "GB-hour",
    "label": "label",
    "electricity": "kWh",
    "egress": "GB",
    "storage": "GB-month",
}
"""What has one price, and the unit that it is per."""
NAMED = {"labels": "label", "people": "hour"}
"""What has a price by name, the task of a label or the role of a person, and the unit that it is per."""
DIGITS = Decimal("1e-12")
"""Prices are rounded to this, so that with the six digits of a quantity an amount has 18 at most."""
YEAR = 365.25
"""Days after which a price is called old."""


class PricesInvalid(SpecInvalid):
    """A file of prices that cannot be used; the message holds all of its problems, one a line."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs, who says so, and as of when.

    ``how`` is ``measured`` for a price that was read at its source (or said by the user), ``assumed`` for one that
    stands for another.
    """

    amount: Money
    per: str
    source: str
    date: str = ""
    how: How = How.MEASURED

    @property
    def cited(self) -> str:
        """The source with its date, as it is printed beside a figure."""
        cited = f"{self.source}, {self.date}" if self.date else self.source
        return f"{cited} (assumed)" if self.how is How.ASSUMED else cited

    def to_json(self) -> dict[str, str]:
        """Return plain JSON; the amount keeps every digit."""
        plain = {
            "amount": f"{self.amount.amount:f} {self.amount.currency}",
            "per": self.per,
            "source": self.source,
            "date": self.date,
        }
        return plain if self.how is How.MEASURED else {**plain, "how": self.how.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Price:
        """Read what :meth:`to_json` wrote."""
        how = How(data.get("how", How.MEASURED.value))
        return cls(Money.parse(data["amount"]), data["per"], data["source"], data["date"], how)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is in USD, who says so, and as of when."""

    usd: Decimal
    source: str
    date: str

    @property
    def cited(self) -> str:
        """The source with its date."""
        return f"{self.source}, {self.date}"


def age(dated: str, today: date) -> int | None:
    """Return how many days ago a date was; ``None`` where there is none.

    Examples
    --------
    >>> age("2026-11-01", date(2026, 11, 22)), age("", date(2026, 11, 22))
    (21, None)
    """
    return (today - date.fromisoformat(dated)).days if dated else None


def stale(price: Price | Rate, today: date) -> str | None:
    """Return the sentence that says that a price, or a rate, is more than a year old; ``None`` if it is not.

    One without a date is not called old: nobody knows.

    Examples
    --------
    >>> old = Price(Money(Decimal("0.05")), "core-hour", "our contract", "2019-03-01")
    >>> print(stale(old, date(2026, 11, 22)))
    The price per core-hour is 7.7 years old (our contract, 2019-03-01); put today's into a file that `prices:` names.
    >>> stale(Price(Money(Decimal("0.05")), "core-hour", "our contract", "2026-03-01"), date(2026, 11, 22))
    """
    days = age(price.date, today)
    if days is None or days <= YEAR:
        return None
    what = f"price per {price.per}" if isinstance(price, Price) else "rate of exchange"
    years = f"{days / YEAR:.1f}"
    old = "1 year old" if years == "1.0" else f"{years} years old"
    return f"The {what} is {old} ({price.cited}); put today's into a file that `prices:` names."


def rounded(money: Money) -> Money:
    """Return money with at most twelve digits after the point."""
    amount = money.amount
    if -amount.as_tuple().exponent <= -DIGITS.as_tuple().exponent:  # type: ignore[operator] # it is finite
        return money
    return Money(amount.quantize(DIGITS, rounding=ROUND_HALF_EVEN), money.currency)


def converted(price: Price, currency: str, rates: Mapping[str, Rate]) -> Price:
    """Return a price in another currency, by the user's dated rates; its source then tells them.

    Raises
    ------
    PricesInvalid
        If there is no rate of one of the two.

    Examples
    --------
    >>> rates = {"EUR": Rate(Decimal("1.25"), "our bank", "2026-11-20")}
    >>> one = converted(Price(Money(Decimal(1)), "label", "us"), "EUR", rates)
    >>> str(one.amount), one.source
    ('0.80 EUR', 'us, at 1 EUR = 1.25 USD (our bank, 2026-11-20)')
    """
    given = price.amount.currency
    if given == currency:
        return price
    usd = {name: rates[name].usd for name in (given, currency) if name in rates} | {"USD": Decimal(1)}
    for name in (given, currency):
        if name not in usd:
            raise PricesInvalid(no_rate(name))
    said = "; ".join(f"1 {n} = {rates[n].usd:f} USD ({rates[n].cited})" for n in (given, currency) if n != "USD")
    money = rounded(Money(price.amount.amount * usd[given] / usd[currency], currency))
    return replace(price, amount=money, source=f"{price.source}, at {said}")


def no_rate(currency: str) -> str:
    """Return the sentence about a currency that cannot be converted.

    Examples
    --------
    >>> no_rate("EUR").partition(";")[0]
    'there is no rate of EUR to USD'
    """
    return (
        f"there is no rate of {currency} to USD; add for example "
        f"`rates: {{{currency}: {{usd: 1.08, source: our bank, date: 2026-11-20}}}}` to the file that `prices:` names"
    )


def less(price: Price, share: float, what: str) -> Price:
    """Return a price less a discount, a share from 0 to 1; its source then tells it."""
    amount = rounded(price.amount * (1 - Decimal(str(share))))
    return replace(price, amount=amount, source=f"{price.source}, less the discount of {share:.0%} on {what}")


def known(names: Iterable[str]) -> str:
    """Return names for an error message."""
    return ", ".join(sorted(names))
