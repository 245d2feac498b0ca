"""More labels: how many to buy next, and what they should bring, read off the learning curve."""

from __future__ import annotations

import math

from steelyard.advise.actions import Action, Kind, Yard
from steelyard.advise.curves import Curve
from steelyard.money import Price
from steelyard.units import Estimate, How

USUAL = 1_000
"""Labels that are spoken of where no price says how many are best."""
DOUBLING = 1.0
"""Most labels to buy at once, as a multiple of the rows that train: a curve is not trusted further in one round."""


def amounts(rows: int) -> tuple[int, ...]:
    """Return round numbers of labels from 50 up to as many as there are rows (at least 50 and one more step).

    Examples
    --------
    >>> amounts(600)
    (50, 100, 200, 500)
    """
    steps = [m * 10**k for k in range(1, 9) for m in (1, 2, 5) if m * 10**k >= 50]
    return tuple(s for s in steps if s <= max(100, rows * DOUBLING))


def label_action(
    curve: Curve, rows: int, yard: Yard, price: Price | None, *, offered: tuple[int, ...] | None = None
) -> Action:
    """Return the purchase of labels that should leave most.

    Parameters
    ----------
    curve : Curve
        The aim, higher better, against training rows.
    rows : int
        Rows that train the bundle that ships now.
    yard : Yard
        What gains are measured in.
    price : Price or None
        Of one label.
    offered : tuple of int, optional
        How many can be bought at once; round numbers up to a doubling by default.

    Returns
    -------
    Action
        With a price and values the amount of the greatest net gain; otherwise about 1,000, at most a doubling.
    """
    possible = offered or amounts(rows)
    every = [_bought(curve, rows, count, yard, price) for count in possible]
    if price is not None and yard.priced:
        return max(every, key=yard.net)
    return min(every, key=lambda a: abs(math.log(_count(a) / min(USUAL, possible[-1]))))


def _count(action: Action) -> int:
    return int(action.name.split()[1].replace(",", ""))


def _bought(curve: Curve, rows: int, count: int, yard: Yard, price: Price | None) -> Action:
    told = curve.gain(rows, rows + count)
    low, high = told.interval(0.95)
    sizes = len(set(curve.rows.tolist()))
    source = (
        f"learning curve through {len(curve.rows)} trainings on {sizes} numbers of rows up to {curve.most:,.0f}, taken "
        f"from {rows:,} to {rows + count:,} rows"
    )
    gain = yard.gain(told.value, low, high, source)
    family = max(curve.families, key=lambda name: curve.families[name])
    evidence = f"{source}; the shape that fits best is the {family} ({curve.families[family]:.0%} of the weight)"
    cost = None
    if price is not None:
        amount = float(price.amount.amount) * count
        cost = Estimate.exact(amount, how=How.ASSUMED, unit=price.amount.currency, source=price.cited)
    even = yard.break_even(gain, count, "label")
    name = f"buy {count:,} labels"
    return Action(name=name, kind=Kind.LABELS, gain=gain, cost=cost, evidence=evidence, break_even=even, per="label")
