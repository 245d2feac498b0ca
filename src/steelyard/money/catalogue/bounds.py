"""What a price may sanely be, in USD: outside of it somebody has slipped by a digit, a unit or a currency.

Catalogues of clouds do slip: machines at 0.00 and an accelerator at 0.01 USD an hour have been published by one.
A price of exactly 0 in a file of the user's is none of these: it is said to be free.
"""

from __future__ import annotations

from decimal import Decimal

BOUNDS: dict[str, tuple[Decimal, Decimal]] = {
    "core-hour": (Decimal("0.0005"), Decimal(10)),
    "accelerator-hour": (Decimal("0.02"), Decimal(50)),
    "machine-hour": (Decimal("0.001"), Decimal(500)),
    "GB-hour": (Decimal("0.0001"), Decimal(1)),
    "kWh": (Decimal("0.01"), Decimal("1.5")),
    "GB": (Decimal("0.001"), Decimal(2)),
    "GB-month": (Decimal("0.0005"), Decimal(2)),
    "GB-second": (Decimal("0.000001"), Decimal("0.001")),
    "request": (Decimal("0.00000001"), Decimal("0.001")),
    "label": (Decimal("0.0001"), Decimal(1000)),
    "hour": (Decimal(1), Decimal(1000)),
}
"""By the unit that a price is per: the least and the most, USD."""
GRAMS = (5.0, 1500.0)
"""Of CO2 equivalent a kWh: between water power and the dirtiest coal."""
SPOT_SHARE = Decimal("0.03")
"""Least share of the price on demand that a spot price may be."""
PER_CORE = (Decimal("0.002"), Decimal("0.5"))
"""Of a machine without accelerator, USD for a core and hour."""
PER_ACCELERATOR = (Decimal("0.05"), Decimal(20))
"""Of a machine with accelerators, USD for one and an hour."""


def outside(per: str, usd: Decimal) -> str | None:
    """Return what is wrong with a price per unit, or ``None``; 0 is free, and in order.

    Examples
    --------
    >>> outside("core-hour", Decimal("504"))
    '504 USD per core-hour is not between 0.0005 and 10 USD'
    >>> outside("core-hour", Decimal("0.0504"))
    """
    low, high = BOUNDS[per]
    if usd == 0 or low <= usd <= high:
        return None
    return f"{usd.normalize():f} USD per {per} is not between {low:f} and {high:f} USD"


def odd(on_demand: Decimal, spot: Decimal | None, cores: int, accelerators: int) -> str | None:
    """Return what is wrong with the prices of a machine, USD an hour, or ``None``.

    Examples
    --------
    >>> odd(Decimal("0.01"), None, 4, 1)
    '0.01 USD an hour is not between 0.05 and 20 USD for each accelerator'
    >>> odd(Decimal("0.10"), Decimal("0.11"), 2, 0)
    'spot at 0.11 USD an hour is dearer than on demand at 0.10'
    """
    each, what = (accelerators, "accelerator") if accelerators else (cores, "core")
    low, high = PER_ACCELERATOR if accelerators else PER_CORE
    if on_demand and not low <= on_demand / each <= high:
        return f"{on_demand:f} USD an hour is not between {low:f} and {high:f} USD for each {what}"
    if spot is not None and spot > on_demand:
        return f"spot at {spot:f} USD an hour is dearer than on demand at {on_demand:f}"
    if spot is not None and on_demand and spot < on_demand * SPOT_SHARE:
        return f"spot at {spot:f} USD an hour is under {SPOT_SHARE:.0%} of on demand at {on_demand:f}"
    return None
