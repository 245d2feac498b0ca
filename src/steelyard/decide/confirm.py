"""The last word on the targets of serving: what was decided, held against the bundle that really ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steelyard.contracts import Schema, Weight
from steelyard.decide.candidates import there
from steelyard.decide.decision import Decision, TargetCheck
from steelyard.decide.serving import serving_cost
from steelyard.decide.targets import NAMES, amount, edge_figures, hold, serving_figures, serving_targets
from steelyard.decide.words import currency_of, listed, money, size, span
from steelyard.money import Prices
from steelyard.recipe import Recipe
from steelyard.spec import Spec
from steelyard.units import Estimate

_TRAINED = {None: "", True: ", trained on everything but test,", False: ", as its trial was measured,"}


def confirm(
    decision: Decision,
    weight: Weight,
    prices: Prices,
    spec: Spec,
    *,
    refitted: bool | None = None,
    recipe: Recipe | None = None,
    schema: Schema | None = None,
) -> Decision:
    """Return a decision that speaks of what ships: latency, size and cost are checked anew, quality stays as decided.

    Parameters
    ----------
    decision : Decision
        What was decided by the bundles of the trials.
    weight : Weight
        What the shipped bundle weighs.
    prices : Prices
        Prices in force.
    spec : Spec
        Where the targets come from.
    refitted : bool, optional
        Whether it was trained once more, on everything but test; nothing is said of it where that is not told.
    recipe, schema : optional
        As in :func:`steelyard.decide.serving_cost`.

    Returns
    -------
    Decision
        With its ``targets``, ``feasible`` and ``tightest`` brought up to date, and one more reason.
    """
    cost = serving_cost(weight, prices, spec, recipe, schema)
    got = serving_figures(weight.p95, weight.size_bytes, cost)
    got |= edge_figures(there(weight, spec), weight.memory_bytes, weight.size_bytes)
    fresh = {target.name: hold(target, got[target.name]) for target in serving_targets(spec)}
    checks = tuple(fresh.get(old.name, old) for old in decision.targets)
    missed = [check for check in checks if not check.met]
    figures = f"The bundle that ships{_TRAINED[refitted]} takes {_figures(weight, cost)}"
    return replace(
        decision,
        targets=checks,
        feasible=not missed,
        tightest=_tightest(decision.tightest, missed),
        reasons=(*decision.reasons, f"{figures}{_verdict(decision, fresh, spec)}."),
    )


def _figures(weight: Weight, cost: Estimate) -> str:
    price = money(cost.value, currency_of(cost.unit))
    return f"{span(weight.p95, 'ms')} at p95, {size(weight.size_bytes)}, and {price} per million predictions"


def _verdict(decision: Decision, fresh: Mapping[str, TargetCheck], spec: Spec) -> str:
    """Say which targets of serving it misses, and where that is news."""
    if not fresh:
        return ""
    before = {check.name: check.met for check in decision.targets}
    missed = [
        f"{NAMES[t.name]} at most {amount(t, t.asked)} by {amount(t, fresh[t.name].short)}"
        f"{', which its trial met' if before.get(t.name) else ''}"
        for t in serving_targets(spec)
        if not fresh[t.name].met
    ]
    gained = [NAMES[name] for name, check in fresh.items() if check.met and before.get(name) is False]
    said = f"misses {listed(missed)}" if missed else "meets every target of serving"
    return f": it {said}{f'; unlike its trial it meets {listed(gained)}' if gained else ''}"


def _tightest(decided: str | None, missed: Sequence[TargetCheck]) -> str | None:
    """Return the decided one while it is missed, else the one that is missed by the greatest share of its figure."""
    if not missed or decided in {check.name for check in missed}:
        return decided if missed else None
    return max(missed, key=lambda check: 1 - abs(check.asked) / (abs(check.asked) + check.short)).name
