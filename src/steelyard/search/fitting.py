"""From a recipe to a model in its framework: who trains, on which rows, on which columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from steelyard.clock import Phase, phase
from steelyard.contracts import (
    FEATURES,
    OF_ROWS,
    Fitted,
    Ints,
    Learner,
    Meter,
    Refusal,
    Schema,
    Split,
    Task,
    Work,
)
from steelyard.levers.shrinking.distilling.lessons import unrolled
from steelyard.levers.training.parts import ENGINE, columns_of, for_learner
from steelyard.recipe import Recipe, Train
from steelyard.registry import learners, levers
from steelyard.search.making import Bench, Pruned


class Refused(Exception):
    """A recipe that cannot be executed, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Trains one recipe with a learner that has agreed to it; made by :func:`trainer_of`.

    ``work`` knows the columns that the recipe keeps, and no others; ``ships_as`` is the recipe that a bundle of it
    bears, another one where the training is a student's, whose rows ``teach`` makes.
    """

    recipe: Train
    learner: Learner
    bench: Bench
    work: Work
    ships_as: Recipe
    teach: Callable[[Split], Split] | None = None

    def fit(self, rows: Ints, early: Ints | None, *, rounds: int | None = None, meter: Meter | None = None) -> Fitted:
        """Train on some rows, stopping early by others if there are any, or after ``rounds``.

        Raises
        ------
        Pruned
            If the trial was not worth finishing.
        """
        bench, plan = self.bench, for_learner(self.recipe.plan)
        train, valid = self._rows(rows, early)
        if self.teach is not None:
            train = self.teach(train)
            if not getattr(self.learner, "takes_lessons", False):
                train = unrolled(train)
        if rounds is not None:
            plan = replace(plan, rounds=rounds)
        fitted = self.learner.fit(plan, self._seen(train), valid, self.work, meter or bench.meter)
        if bench.meter.pruned:
            raise Pruned
        return fitted

    @phase(Phase.PREPARING)
    def _rows(self, rows: Ints, early: Ints | None) -> tuple[Split, Split | None]:
        """Return the rows to train on, as the levers on data leave them, and those that say when to stop."""
        bench = self.bench
        train = bench.dataset.rows.take(rows)
        for step in self.recipe.data:
            whole = replace(self.work, schema=bench.dataset.schema)
            train = levers().get(step.lever).apply(train, step.settings, whole, bench.meter)  # type: ignore[attr-defined]
        return train, None if early is None else self._seen(bench.dataset.rows.take(early))

    @property
    def stops_early(self) -> bool:
        """Whether rows have to be set aside that say when to stop."""
        return "rounds" in self.learner.honours and self.recipe.plan.rounds is None

    def fixed(self, rounds: int) -> Trainer:
        """Return the same with its rounds fixed."""
        return replace(self, recipe=replace(self.recipe, plan=replace(self.recipe.plan, rounds=rounds)))

    def _seen(self, split: Split) -> Split:
        """Return the columns of some rows that the learner may see."""
        kept = {column.name for column in self.work.schema.features}
        return replace(split, columns={name: cells for name, cells in split.columns.items() if name in kept})


def trainer_of(
    recipe: Train, bench: Bench, *, teach: Callable[[Split], Split] | None = None, ships_as: Recipe | None = None
) -> Trainer:
    """Return what trains a recipe, once its learner has agreed to the task, the columns and every part of the plan.

    Raises
    ------
    Refused
        If it does not agree, or a column or setting is unknown.
    """
    learner, task = learners().get(recipe.learner), bench.dataset.task
    schema = _kept(bench.dataset.schema, columns_of(recipe.plan))
    if refusal := refusal_of(learner, task, schema):
        raise Refused(refusal.sentence)
    asked = {step.lever for step in recipe.plan.parts} - ENGINE
    if recipe.plan.settings:
        asked.add("settings")
    if recipe.plan.rounds is not None:
        asked.add("rounds")
    if strange := sorted(asked - learner.honours):
        raise Refused(f"{recipe.learner} does not honour {', '.join(strange)}; it would be ignored, so it is refused.")
    known = learner.space(task, schema).settings
    if unknown := sorted(set(recipe.plan.settings) - set(known)):
        raise Refused(f"{recipe.learner} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return Trainer(
        recipe=recipe,
        learner=learner,
        bench=bench,
        work=replace(bench.work, schema=schema, seed=recipe.seed),
        ships_as=ships_as or recipe,
        teach=teach,
    )


def refusal_of(learner: Learner, task: Task, schema: Schema) -> Refusal | None:
    """Return why a learner cannot do a task; one that names no ``problems`` does those of a table's rows alone."""
    if task.problem in getattr(learner, "problems", OF_ROWS):
        return learner.accepts(task, schema)
    return Refusal(f"{learner.name} does no {task.problem.value}: it answers rows with a class or a number.")


def cut_short(fitted: Fitted) -> bool:
    """Tell whether the deadline ended a training before its time."""
    return bool(getattr(fitted, "stopped", False))


def _kept(schema: Schema, names: tuple[str, ...] | None) -> Schema:
    """Return the schema with no other features than those named."""
    if names is None:
        return schema
    features = {column.name for column in schema.features}
    if unknown := sorted(set(names) - features):
        raise Refused(f"select keeps {', '.join(unknown)}, which this table does not have; name some of its features.")
    return Schema(tuple(c for c in schema.columns if c.name in names or c.kind not in FEATURES))
