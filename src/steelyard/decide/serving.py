"""What serving one candidate costs: its machines, and the columns that somebody has to be paid to collect."""

from __future__ import annotations

from steelyard.contracts import Column, Kind, Schema, Weight
from steelyard.levers.training.parts import read_by
from steelyard.money import Prices, cost_per_million
from steelyard.money.serving import MILLION
from steelyard.recipe import Given, Recipe
from steelyard.spec import Spec
from steelyard.units import Estimate, How, Money


def serving_cost(
    weight: Weight, prices: Prices, spec: Spec, recipe: Recipe | None = None, schema: Schema | None = None
) -> Estimate:
    """Return what a million predictions cost: :func:`steelyard.money.cost_per_million` for the wishes of a spec.

    Parameters
    ----------
    weight : Weight
        What the bundle weighs.
    prices : Prices
        Prices in force.
    spec : Spec
        Its ``serving`` and ``columns.price`` are used here.
    recipe, schema : optional
        As in :func:`collecting`.
    """
    if isinstance(recipe, Given) and not recipe.ships:
        return per_call(spec, prices)
    serving, rows = spec.serving, collecting(spec, recipe, schema)
    return cost_per_million(weight, prices, serving.traffic, serving.latency_p95_ms, rows)


def per_call(spec: Spec, prices: Prices) -> Estimate:
    """Return what a million decisions of an incumbent cost that is not run here: what the spec says of one."""
    assert spec.incumbent is not None, "it comes from the spec"
    assert spec.incumbent.per_call is not None, "the spec was checked for it"
    price = spec.incumbent.per_call
    source = f"{price.amount:f} {price.currency} a decision, as `incumbent.per_call` of the spec says"
    unit = f"{prices.currency} per 1,000,000 predictions"
    return Estimate.exact(float(price.amount * MILLION), how=How.ASSUMED, unit=unit, source=source)


def collecting(spec: Spec, recipe: Recipe | None = None, schema: Schema | None = None) -> Money | None:
    """Return what the priced columns of one row cost to collect, ``None`` where nothing is priced.

    Only what models read is paid for: with a schema, its features; without one, every priced column that the spec
    does not set aside; with a recipe, of these the columns that its trainings keep. One of nothing but the constant
    model reads no column.
    """
    aside = {spec.columns.weight, spec.split.column, *spec.columns.ignore}
    there = tuple(Column(name=name, kind=Kind.NUMBER) for name in spec.columns.price if name not in aside)
    known = Schema(there) if schema is None else schema
    read = {column.name for column in known.features} if recipe is None else read_by(recipe, known)
    prices = [price for name, price in spec.columns.price.items() if name in read]
    return sum(prices[1:], start=prices[0]) if prices else None
