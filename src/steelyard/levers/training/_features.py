"""Derived features, one kind at a time: pairs of columns; frequencies of categories and means of the target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from steelyard.contracts import Context, Kind, Move, Prior, Schema, Stage, Trial
from steelyard.learners._features import MANY, NAME, SPACE
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked, trained
from steelyard.recipe import Plan, Settings, Step, Train

PAIRS = 6
"""Pairs of columns in one proposal."""
MOST_COLUMNS = 100
"""Columns up to which interactions are proposed."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of feature: the settings that switch it on, and what is assumed of it."""

    settings: Settings
    gain: tuple[float, float, float]
    slower: float
    """How many times as long a training takes with it."""
    why: str


_PAIRS = _Kind(Settings(interactions=PAIRS), (0.01, 0.0, 0.1), 5.0, "columns that act together are seen together")
_CATEGORIES = _Kind(
    Settings(targets=True, counts=True),
    (0.01, 0.0, 0.08),
    1.3,
    "how frequent a value of a wide category is, and what its rows were like, says more than its name",
)


class Features:
    """Adds one kind of derived feature to a learner's best training, where the table has what it needs."""

    name = NAME
    stage = Stage.TRAINING
    paper = (
        "Micci-Barreca: A Preprocessing Scheme for High-Cardinality Categorical Attributes in Classification and "
        "Prediction Problems. SIGKDD Explorations 2001, doi:10.1145/507533.507538; Lou, Caruana, Gehrke, Hooker: "
        "Accurate Intelligible Models with Pairwise Interactions. KDD 2013, doi:10.1145/2487575.2487579"
    )
    about = "Derives features from columns: means of the target and counts of categories, interactions, calendar parts."

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose each kind that was not tried with this learner yet, if this trial is its best training."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable:
            return
        mine = trained(context.trials, recipe.learner)
        if [t.number for t in ranked(mine, context.task)[:1]] != [trial.number]:
            return
        if NAME not in getattr(context.learner(recipe.learner), "honours", ()):
            return
        tried = {name for t in mine if isinstance(t.recipe, Train) for name in _asked(t.recipe.plan)}
        for kind in _kinds(context.schema):
            if tried & set(kind.settings):
                continue
            cost = training_seconds(recipe.learner, context.rows, context)
            slower = cost.scaled(kind.slower, unit="s", how=cost.how, source=cost.source)
            yield Move(
                recipe=replace(recipe, plan=self.apply(recipe.plan, kind.settings)),
                lever=self.name,
                prior=Prior(slower, gain(*kind.gain, "assumed: much on a few tables, nothing on most")),
                why=kind.why,
            )

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with some kinds of features switched on or off; those at their defaults are left out.

        Raises
        ------
        SettingsRefused
            If there is no such kind, or a value is out of range.
        """
        settings_of(self.name, SPACE, Plan(settings=settings))
        asked = {name: value for step in plan.parts if step.lever == NAME for name, value in step.settings.items()}
        kept = {name: value for name, value in (asked | dict(settings)).items() if value != SPACE.default(name)}
        others = tuple(step for step in plan.parts if step.lever != NAME)
        return replace(plan, parts=(*others, Step(lever=NAME, settings=Settings(kept))) if kept else others)


def _asked(plan: Plan) -> set[str]:
    """Return the kinds that a plan switches on."""
    return {name for step in plan.parts if step.lever == NAME for name, value in step.settings.items() if value}


def _kinds(schema: Schema) -> list[_Kind]:
    """Return the kinds that a table has what it takes for."""
    widest = max((column.distinct for column in schema.of(Kind.CATEGORY)), default=0)
    crossable = 2 <= len(schema.of(Kind.NUMBER, Kind.CATEGORY)) <= MOST_COLUMNS
    return [_PAIRS] * crossable + [_CATEGORIES] * (widest > MANY)
