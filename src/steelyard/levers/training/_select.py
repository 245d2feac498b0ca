"""Train on fewer columns: those that a model of all of them hardly misses when they are shuffled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from steelyard.contracts import Context, Move, Prior, Stage, Trial
from steelyard.levers.priors import bag_seconds, gain
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.training.parts import SELECT, columns_of, folds_of, with_part
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.units import Estimate

IDLE = 1e-3
"""Share of all importance up to which a column counts as idle."""
DEAR = 0.05
"""Share of all importance that may be lost with the columns that cost the most for what they tell."""


class Select:
    """Proposes to leave columns out, by their importance in the best training so far.

    Importance is how much worse a finished model answers rows when one column of theirs is shuffled (Breiman 2001;
    Fisher, Rudin and Dominici 2019); the engine measures it on a learner's first training, and on trainings that
    this lever led to, and keeps it with the trial. There are at most three proposals a trial: without the columns
    that nothing is lost with; the more important half of the others; and without the priced columns that cost the
    most for what they tell. What is left out need not be collected: a bundle asks for the columns it reads.
    """

    name = SELECT
    stage = Stage.TRAINING
    paper = (
        "Breiman: Random Forests. Machine Learning 2001, doi:10.1023/A:1010933404324; Fisher, Rudin, Dominici: All "
        "Models are Wrong, but Many are Useful. JMLR 2019, arXiv:1801.01489"
    )
    about = "Trains on fewer columns: cheaper to collect and to serve, and sometimes better."

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose smaller sets of columns, if this trial is the best training so far and evidence is at hand."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable:
            return
        if [t.number for t in ranked(trained(context.trials), context.task)[:1]] != [trial.number]:
            return
        shares = _shares(trial, recipe, context)
        seen = {t.recipe for t in context.trials}
        cost = bag_seconds(recipe.learner, context.rows, context, folds_of(recipe.plan))
        for kept, bring, why in _proposals(shares, context):
            settings = Settings(columns=json.dumps([name for name in shares if name in kept], ensure_ascii=False))
            fewer = replace(recipe, plan=with_part(recipe.plan, Step(lever=self.name, settings=settings)))
            if kept and len(kept) < len(shares) and fewer not in seen:
                seen.add(fewer)
                yield Move(recipe=fewer, lever=self.name, prior=Prior(cost, bring), why=why)

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with the columns in the setting ``columns``, a JSON list of names, and no others.

        Raises
        ------
        LeverRefused
            If the setting is no such list, or another one is given.
        """
        changed = with_part(plan, Step(lever=self.name, settings=settings))
        columns_of(changed)
        return changed


def _shares(trial: Trial, recipe: Train, context: Context) -> dict[str, float]:
    """Return each kept column's share of all importance, in the schema's order; empty where none was measured.

    A trial without figures of its own (tuned, bagged) goes by the best trial of its learner on the same columns.
    """
    columns = columns_of(recipe.plan)
    alike = [t for t in ranked(trained(context.trials, recipe.learner), context.task) if _reads(t) == columns]
    found = next((t.importance for t in (trial, *alike) if t.importance), None)
    names = [c.name for c in context.schema.features if columns is None or c.name in columns]
    if found is None:
        return {}
    worth = {name: max(0.0, found.get(name, 0.0)) for name in names}
    total = sum(worth.values())
    return {name: value / total for name, value in worth.items()} if total > 0 else {}


def _reads(trial: Trial) -> tuple[str, ...] | None:
    assert isinstance(trial.recipe, Train)
    return columns_of(trial.recipe.plan)


def _proposals(shares: Mapping[str, float], context: Context) -> Iterator[tuple[frozenset[str], Estimate, str]]:
    """Yield the columns to keep, what that should bring, and why."""
    useful = {name: share for name, share in shares.items() if share > IDLE}
    idle = len(shares) - len(useful)
    bring = gain(0.001, 0.0, 0.02, "columns that say nothing are noise to learn; few gain much by leaving them out")
    yield frozenset(useful), bring, f"leaves out {_columns(idle)} that nothing was lost with when shuffled"
    half = sorted(useful, key=lambda name: -useful[name])[: (len(useful) + 1) // 2]
    lost = 1 - sum(useful[name] for name in half)
    bring = gain(0.0005, 0.0, 0.01, "rarely better than all columns; what it brings is a cheaper row, as a gain")
    yield frozenset(half), bring, f"keeps the {len(half)} columns that hold {1 - lost:.0%} of all importance"
    cheap = _without_dear(shares, context)
    bring = gain(0.02, 0.0, 0.05, "what not having to collect a priced column is worth, as a gain")
    yield cheap, bring, f"leaves out {_columns(len(shares) - len(cheap))} with a price, dear for what they tell"


def _without_dear(shares: Mapping[str, float], context: Context) -> frozenset[str]:
    """Return what is left without the priced columns of least importance for their money, while little is lost."""
    prices = {c.name: float(c.price.amount) for c in context.schema.features if c.price is not None}
    order = sorted((n for n in shares if prices.get(n, 0.0) > 0), key=lambda n: (shares[n] / prices[n], n))
    kept, lost = set(shares), 0.0
    for name in order:
        if lost + shares[name] <= DEAR:
            lost += shares[name]
            kept.discard(name)
    return frozenset(kept)


def _columns(count: int) -> str:
    return f"{count} column" if count == 1 else f"{count} columns"
