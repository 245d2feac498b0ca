"""Blend the probabilities of several models: greedy selection of members, with an eye on what they cost to serve."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from steelyard.contracts import Context, Evidence, Move, Prior, Rule, Setting, Space, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._greedy import greedy
from steelyard.levers.combining._shared import ends_with, is_constant, tolerance_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import aim_of, ranked, trained
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Recipe, Settings, Train, parents
from steelyard.tasks import metric
from steelyard.units import Estimate

MOST = 6
"""Trainings that a blend is chosen from at most; each that is taken is another graph to run for every row."""
OF_ONE_LEARNER = 2
THRIFT = (1.0, 4.0)
"""What serving every candidate would have to bring, in tolerances, for the blends that are proposed as cheaper."""
SLOWER = 1.5
"""How many times slower than its best member a blend is at least, before a thriftier one is worth trying."""


class Ensemble:
    """Adds, again and again, the member that makes the blend best; a member counts as often as it was added.

    The blend's aim decides, through the decisions that its mean scores lead to; where two members bring the
    same, the proper score (log loss, squared error) does. A member that is never added has weight 0 in the rule and
    is left out of the bundle.

    With ``thrift``, a member has to bring something for being served: its part of ``thrift``, by its part of what
    all candidates cost in latency and bytes. So one library gives blends along the trade-off of quality against cost
    (a fixed weight on cost in the greedy choice: Maier and Purucker, section on static weighting).
    """

    name = "ensemble"
    stage = Stage.COMBINING
    paper = (
        "Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models. ICML 2004, "
        "doi:10.1145/1015330.1015432; Maier, Purucker: HAPEns: Hardware-Aware Post-Hoc Ensembling for Tabular Data. "
        "2026, arXiv 2603.10582"
    )
    about = "Blends the best trainings, weighted by greedy selection on validation rows."
    forecasts = True
    fits_on = "validation"
    needs_rows = 50
    space = Space(
        {
            "picks": Setting(
                default=25, low=1, high=200, about="How often a member is added; the best prefix is kept."
            ),
            "thrift": Setting(
                default=0.0, low=0.0, about="What serving all candidates would have to add, in units of the aim."
            ),
        }
    )
    """And ``costs``: each candidate's part of the cost of serving all, as text, such as ``"0.1 0.9"``."""

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose a blend of the best group once a new training is in it, and thriftier ones of the best blend."""
        if _of_the_best(self.name, trial, context):
            yield from self._thriftier(trial, context)
        library = _library(context)
        if len(library) < 2 or library[0].number != trial.number:
            return
        known = [set(parents(t.recipe)) for t in context.trials if ends_with(t.recipe, self.name)]
        recipe = Combine(lever=self.name, parents=_parents(library))
        if not any(set(recipe.parents) <= one for one in known):
            why = f"the {len(library)} best trainings together, {_different(library)} learners among them"
            yield self._move(recipe, _gain(0.02 / (1 + len(known))), why)

    def _thriftier(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose the same blend with a price on its members, where it is slower than its best one and better."""
        by_recipe = {t.recipe: t for t in context.trials}
        members = [by_recipe[recipe] for recipe in parents(trial.recipe) if recipe in by_recipe]
        best, whole = ranked(members, context.task)[:1], tolerance_of(context, trial)
        if len(members) < len(parents(trial.recipe)) or not best or whole <= 0:
            return
        costs = _costs(members)
        if costs is None or not _slower(trial, best[0]) or aim_of(trial, context.task) <= aim_of(best[0], context.task):
            return
        for times in THRIFT:
            settings = Settings(thrift=times * whole, costs=costs)
            recipe = Combine(lever=self.name, parents=parents(trial.recipe), settings=settings)
            if recipe not in by_recipe:
                why = f"trial {trial.number} without members that add less than their part of {times:g} tolerances"
                yield self._move(recipe, _gain(0.0), why)

    def _move(self, recipe: Combine, bring: Estimate, why: str) -> Move:
        return Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "blend", "weights": [...]}``: one weight a member, 0 or more, summing to 1.

        Raises
        ------
        LeverRefused
            If there are fewer rows than ``needs_rows``, or the costs are not one a member.
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        costs, rest = settings.get("costs"), Settings({k: v for k, v in settings.items() if k != "costs"})
        given, members = settings_of(self.name, self.space, Plan(settings=rest)), len(evidence.answers)
        rows = len(evidence.target)
        if rows < self.needs_rows:
            raise LeverRefused(
                f"ensemble needs {self.needs_rows} validation rows to weigh its members, there are {rows}; "
                "give more rows, or leave it out with `levers: {without: [ensemble]}`"
            )
        thrift, parts = given.number("thrift", 0.0), _read_costs(costs, members)
        dues = [thrift * part / sum(parts) for part in parts]
        return {"rule": "blend", "weights": greedy(work.task, _ordered(evidence), int(given.number("picks", 1)), dues)}


def _gain(value: float) -> Estimate:
    return gain(value, 0.0, 0.06, "blends gain where their members err on different rows")


def _ordered(evidence: Evidence) -> Evidence:
    """Return the rows in the order of their figures: sums in floating point, and with them near ties, follow it."""
    if evidence.target.dtype == object:  # rows of tags, which come in the order of the data
        return evidence
    columns = [column for answer in evidence.answers for column in answer.scores.T]
    more = [] if evidence.weights is None else [evidence.weights]
    order = np.lexsort([*columns, *more, *np.atleast_2d(evidence.target.T)])
    answers = tuple(a.take(order) for a in evidence.answers)
    return Evidence(answers, evidence.target[order], None if evidence.weights is None else evidence.weights[order])


def _read_costs(costs: object, members: int) -> list[float]:
    """Return what each member costs; the same for all where nothing is said."""
    if costs is None:
        return [1.0] * members
    try:
        parts = [float(part) for part in str(costs).split()]
    except ValueError:
        parts = []
    if len(parts) != members or not all(math.isfinite(part) and part >= 0 for part in parts) or not sum(parts) > 0:
        raise LeverRefused(
            f"ensemble: costs must be {members} numbers of 0 or more, one a member, such as "
            f"'{' '.join(['0.5'] * members)}'; got {costs!r}"
        )
    return parts


def _costs(members: Sequence[Trial]) -> str | None:
    """Return each member's part of the cost of serving all, half by latency and half by bytes; ``None``: not weighed.

    Bytes on disk stand for memory, which is measured in a process of its own only for the bundle that ships.
    """
    weights = [t.weight for t in members if t.weight is not None]
    if len(weights) < len(members):
        return None
    latency, size = sum(w.p50.value for w in weights), sum(w.size_bytes for w in weights)
    return " ".join(f"{w.p50.value / latency / 2 + w.size_bytes / size / 2:.3f}" for w in weights)


def _slower(blend: Trial, best: Trial) -> bool:
    if blend.weight is None or best.weight is None:
        return False
    return blend.weight.p50.value > SLOWER * best.weight.p50.value


def _of_the_best(name: str, trial: Trial, context: Context) -> bool:
    """Tell whether a trial is the best blend that no price was put on."""
    blends = [t for t in context.trials if ends_with(t.recipe, name) and isinstance(t.recipe, Combine)]
    plain = [t for t in blends if not t.recipe.settings]  # type: ignore[union-attr]
    return [t.number for t in ranked(plain, context.task)[:1]] == [trial.number]


def _library(context: Context) -> tuple[Trial, ...]:
    """Return the trainings worth blending: the best of each learner first, then the second best of each.

    None is clearly worse than the best, which is one whose interval lies wholly below the interval of the best; and
    the constant model, which would only draw probabilities to their mean, is not among them.
    """
    order = [t for t in ranked(trained(context.trials), context.task) if not is_constant(t.recipe)]
    rounds: list[list[Trial]] = [[] for _ in range(OF_ONE_LEARNER)]
    recipes: set[Recipe] = set()
    per_learner: Counter[str] = Counter()
    for one in order:
        assert isinstance(one.recipe, Train)
        if _ends(one, context)[1] < _ends(order[0], context)[0]:
            break
        if one.recipe not in recipes and per_learner[one.recipe.learner] < OF_ONE_LEARNER:
            rounds[per_learner[one.recipe.learner]].append(one)
            recipes.add(one.recipe)
            per_learner[one.recipe.learner] += 1
    return tuple(trial for turn in rounds for trial in turn)[:MOST]


def _different(library: Sequence[Trial]) -> int:
    return len({t.recipe.learner for t in library if isinstance(t.recipe, Train)})


def _ends(trial: Trial, context: Context) -> tuple[float, float]:
    """Return the interval of the aim, low and high, in the direction in which higher is better."""
    figure, better = trial.validation[context.task.aim], metric(context.task.aim).higher_is_better
    one, other = better(figure.low), better(figure.high)
    centre = aim_of(trial, context.task)
    ends = [end if math.isfinite(end) else centre for end in (one, other)]
    return min(ends), max(ends)


def _parents(trials: Sequence[Trial]) -> tuple[Recipe, ...]:
    """Return the recipes in the order in which they were tried: the same set is the same recipe."""
    return tuple(t.recipe for t in sorted(trials, key=lambda t: t.number))
