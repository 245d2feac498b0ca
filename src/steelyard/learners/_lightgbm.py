"""Gradient-boosted trees on numbers, categories and text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.clock import Phase, phase
from steelyard.contracts import (
    Artefact,
    Columns,
    Floats,
    Kind,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.errors import need
from steelyard.learners._block import Dense, side_by_side
from steelyard.learners._boosting import Clock, Scale, Watch
from steelyard.learners._graph import Graph
from steelyard.learners._head import seal
from steelyard.learners._outcomes import weight_settings, weights_of
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess, prelude_of, refuse_tables, refuse_without, sums_of, text_settings
from steelyard.learners._tree_blocks import codes, tree_blocks, tree_gain, width_of
from steelyard.learners._trees import trees
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    import lightgbm

MANY_CELLS = 500_000
"""Cells of a matrix from which on more than one thread is used."""
MOST_ROUNDS = 2000
PATIENCE = 50
UNWATCHED_ROUNDS = 100
"""Rounds where neither validation rows nor a number of rounds are given."""
OBJECTIVE = {Problem.BINARY: "binary", Problem.MULTICLASS: "multiclass", Problem.REGRESSION: "regression"}

SETTINGS = {
    "learning_rate": Setting(default=0.05, low=0.005, high=0.3, log=True, about="Share of each tree that is added."),
    "num_leaves": Setting(default=31, low=2, high=255, log=True, unit="leaves", about="Most leaves of a tree."),
    "min_child_samples": Setting(
        default=20, low=1, high=500, log=True, unit="rows", about="Rows of a leaf; at most a twentieth of all."
    ),
    "feature_fraction": Setting(default=0.8, low=0.2, high=1.0, about="Share of columns that a tree sees."),
    "bagging_fraction": Setting(default=0.8, low=0.3, high=1.0, about="Share of rows that a tree sees."),
    "lambda_l2": Setting(default=1.0, low=1e-3, high=100.0, log=True, about="Penalty on large leaf values."),
    "category_min_count": Setting(
        default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for a code of its own."
    ),
}
"""LightGBM's own names, but for the last."""


class LightGBM:
    """Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (2017).

    Categories are ordered codes (numbers by size, words by alphabet), missing and unseen ones go the way that
    splits learnt for missing values. Text is seen along a few directions of its n-grams.
    """

    name = "lightgbm"
    honours = frozenset({"settings", "rounds", "features"})
    modules = ("lightgbm",)
    """What a worker loads ahead: the package takes a second or two to import."""
    about = "Gradient-boosted decision trees on numbers, categories, text and sounds; missing values as they are."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, tables without features, and a machine without LightGBM."""
        del task
        return refuse_tables(self.name, schema, hears=True) or refuse_without(self.name, "lightgbm")

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the size of trees, the pace, and what each round sees."""
        return Space(SETTINGS | weight_settings(task) | text_settings(schema, most=20_000))

    def burden(self, settings: Settings) -> float:
        """Return how much a round costs to serve, in leaves of its trees."""
        return settings.number("num_leaves", 31)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the size of the table and 300 rounds."""
        sums, text = sums_of(task), len(schema.of(Kind.TEXT))
        return guess(
            seconds=0.3 + 300 * sums * (2e-3 + 1.5e-8 * rows * width_of(schema)) + 1e-3 * rows * text,
            gain=tree_gain(schema, rows),
        )

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedTrees:
        """Add trees while they lower the loss on ``valid``, or as many as the plan says."""
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        categories = codes(settings, train, work.schema)
        blocks = tree_blocks(plan, settings, train, work, meter, categories=categories)
        prelude = prelude_of(self.name, blocks)
        matrix = beside(prelude.train(train, threads=work.threads))
        scale = Scale.of(train, work.task)
        parameters = _parameters(settings, work, len(train), cells=matrix.size)
        data = _dataset(matrix, scale.target(train), weights_of(train, settings), parameters)
        with phase(Phase.PREPARING):  # cuts the columns into bins
            booster = need("lightgbm", for_=self.name).Booster(parameters, data)
        watch = None
        if plan.rounds is None and valid is not None:
            seen = beside(prelude.run(valid.columns, threads=work.threads))
            held = _dataset(seen, scale.target(valid), weights_of(valid, settings), parameters, like=data)
            booster.add_valid(held, "valid")
            watch = Watch(work.task, valid, meter, PATIENCE)
        rounds, stopped = _boost(booster, plan.rounds, watch, scale, meter)
        return FittedTrees(prelude=prelude, booster=booster, rounds=rounds, scale=scale, work=work, stopped=stopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTrees:
    """Trees on the blocks of a prelude."""

    prelude: Prelude
    booster: lightgbm.Booster
    rounds: int | None
    scale: Scale
    work: Work
    stopped: bool = False

    def scores(self, columns: Columns) -> Floats:
        """Return LightGBM's own predictions on the same matrix."""
        matrix = beside(self.prelude.run(columns, threads=self.work.threads))
        threads = _threads(self.work, matrix.size)
        raw = self.booster.predict(matrix, num_iteration=self.rounds, num_threads=threads)
        return self.scale.scores(np.asarray(raw), self.work.task)

    def export(self) -> Artefact:
        """Return prelude, trees and link as one graph."""
        graph, task = Graph(), self.work.task
        matrix = side_by_side(graph, [item for item in self.prelude.build(graph) if isinstance(item, Dense)])
        total = trees(graph, matrix, self.booster.model_to_string(num_iteration=self.rounds), sums=sums_of(task))
        total = self.scale.undo(graph, total, task)
        return Artefact(seal(graph, total, task), self.prelude.feeds, self.prelude.files)


def _boost(
    booster: lightgbm.Booster, rounds: int | None, watch: Watch | None, scale: Scale, meter: Meter
) -> tuple[int, bool]:
    """Add rounds to a booster, and return how many of them count, and whether the deadline cut them short.

    With ``rounds`` exactly so many, fewer only where the deadline or the data end; with a ``watch`` as many as
    lower the validation loss.
    """
    clock = Clock(meter, rounds if rounds is not None else MOST_ROUNDS if watch else UNWATCHED_ROUNDS)
    step = 0
    for step in range(1, clock.wanted + 1):
        exhausted = booster.update()
        if watch is not None and not watch.go_on(
            step, booster.eval_valid()[0][2], partial(_scores, booster, scale, watch)
        ):
            return max(watch.best, 1), meter.remaining() <= 0
        if exhausted or clock.late(step):
            break
    return (max(watch.best, 1) if watch else step), clock.out


def _scores(booster: lightgbm.Booster, scale: Scale, watch: Watch) -> Floats:
    """Return the running scores of validation rows, which LightGBM shows to custom metrics alone."""
    seen = np.zeros(0)

    def keep(predicted: Floats, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        nonlocal seen
        seen = predicted.copy()
        return "seen", 0.0, True

    booster.eval_valid(feval=keep)
    return scale.scores(seen, watch.task)


def _threads(work: Work, cells: int) -> int:
    """Return one thread for a small matrix: waking the others takes longer than what they would do."""
    return 1 if cells < MANY_CELLS else work.threads


def _parameters(settings: Settings, work: Work, rows: int, *, cells: int) -> dict[str, object]:
    """Return LightGBM's parameters; the settings' names are its own."""
    chosen = {name: value for name, value in settings.items() if name in SETTINGS and name != "category_min_count"}
    sums = {"num_class": work.task.width} if work.task.problem is Problem.MULTICLASS else {}
    return {
        **chosen,
        **sums,
        "objective": OBJECTIVE[work.task.problem],
        "min_child_samples": max(1, min(int(settings.number("min_child_samples", 20)), rows // 20)),
        "bagging_freq": 1,
        "seed": work.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": _threads(work, cells),
        "verbosity": -1,
    }


@phase(Phase.PREPARING)
def _dataset(
    matrix: Floats,
    target: NDArray[Any],
    weights: Floats | None,
    parameters: dict[str, object],
    *,
    like: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    made: type[lightgbm.Dataset] = need("lightgbm", for_="lightgbm").Dataset
    return made(matrix, target, weight=weights, reference=like, params=parameters)
