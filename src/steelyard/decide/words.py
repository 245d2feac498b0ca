"""Figures and names as people read them: the same number of decimals, the interval, the unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steelyard.contracts import Task
from steelyard.recipe import Combine, Given, Plan, Recipe, Shrink, Step, Train, describe
from steelyard.tasks import Metric
from steelyard.units import Estimate


def decimals(value: float) -> int:
    """Return how many decimals a figure of this size is printed with.

    Examples
    --------
    >>> [decimals(x) for x in (0.7891, 41.2, 412.0, 41200.0, 0.00042)]
    [3, 2, 1, 0, 5]
    """
    size = abs(value)
    if size >= 0.01 or size == 0 or not math.isfinite(size):
        return 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return min(12, 1 - math.floor(math.log10(size)))


def figure(value: float | None, places: int | None = None) -> str:
    """Return a number for people; one that is not finite is ``unknown``.

    Examples
    --------
    >>> figure(0.78912), figure(-12345.6), figure(None), figure(0.00042)
    ('0.789', '-12,346', 'unknown', '0.00042')
    """
    if value is None or not math.isfinite(value):
        return "unknown"
    return f"{value:,.{decimals(value) if places is None else places}f}"


def span(estimate: Estimate, unit: str = "") -> str:
    """Return a figure with its 95% interval.

    Examples
    --------
    >>> span(Estimate(0.789, 0.741, 0.832)), span(Estimate.exact(2.0), "MB")
    ('0.789 (0.741 to 0.832)', '2.000 MB')
    """
    tail = f" {unit}" if unit else ""
    if estimate.low == estimate.high:
        return figure(estimate.value) + tail
    places = decimals(estimate.value)
    low, high = figure(estimate.low, places), figure(estimate.high, places)
    return f"{figure(estimate.value, places)}{tail} ({low} to {high})"


def money(amount: float | None, currency: str) -> str:
    """Return money with at least two decimals and at least two digits that count.

    Examples
    --------
    >>> money(5, "USD"), money(0.0342, "EUR"), money(0.00071, "USD"), money(-1234.5, "USD")
    ('5.00 USD', '0.034 EUR', '0.00071 USD', '-1,234.50 USD')
    """
    if amount is None or not math.isfinite(amount):
        return "unknown"
    places = 2 if amount == 0 or abs(amount) >= 0.1 else min(12, 1 - math.floor(math.log10(abs(amount))))
    return f"{amount:,.{places}f} {currency}"


def size(count: float) -> str:
    """Return a number of bytes in decimal units.

    Examples
    --------
    >>> size(482), size(1234), size(783_000), size(87_000_000)
    ('482 B', '1.23 kB', '783 kB', '87.0 MB')
    """
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1e3:.3g} kB" if count < 999_500 else f"{count / 1e6:,.1f} MB"


def unit_of(metric: Metric, task: Task) -> str:
    """Return the unit to print beside a figure of quality; nothing where it has none of its own."""
    unit = metric.unit_for(task)
    return "" if "target" in unit else unit


def currency_of(unit: str) -> str:
    """Return the currency that a unit such as ``"USD per 1,000,000 predictions"`` begins with."""
    return unit.split(" ", maxsplit=1)[0]


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def titles(recipes: Iterable[tuple[int, Recipe]]) -> dict[int, str]:
    """Name trials shortly by their recipes without settings; the trial's number tells apart those of one name.

    Examples
    --------
    >>> titles([(0, Train(learner="linear")), (3, Train(learner="linear", seed=1)), (4, Train(learner="cnn"))])
    {0: 'linear (trial 0)', 3: 'linear (trial 3)', 4: 'cnn'}
    """
    names = {number: describe(_bare(recipe)) for number, recipe in recipes}
    taken = list(names.values())
    return {k: name if taken.count(name) == 1 else f"{name} (trial {k})" for k, name in names.items()}


def _bare(recipe: Recipe) -> Recipe:
    match recipe:
        case Train(learner=learner, plan=plan, data=data):
            return Train(learner=learner, plan=Plan(parts=_bare_steps(plan.parts)), data=_bare_steps(data))
        case Shrink(lever=lever, parent=parent):
            return Shrink(lever=lever, parent=_bare(parent))
        case Combine(lever=lever, parents=parents):
            return Combine(lever=lever, parents=tuple(_bare(p) for p in parents))
        case Given():
            return recipe


def _bare_steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(Step(lever=s.lever) for s in steps)
