"""Gradient-boosted oblivious trees that know categories by statistics of the target."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steelyard.contracts import (
    Artefact,
    Columns,
    Floats,
    Kind,
    Meter,
    Prior,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.errors import need
from steelyard.learners._boosting import Watch
from steelyard.learners._catboost_cells import Sight
from steelyard.learners._catboost_model import Model, read
from steelyard.learners._ctrs import hashes, names
from steelyard.learners._graph import Graph
from steelyard.learners._oblivious import DEEPEST
from steelyard.learners._outcomes import Outcomes, weight_settings, weights_of
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess, refuse_tables, refuse_without, sums_of, text_settings
from steelyard.learners._tree_blocks import tree_gain, width_of
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    from catboost import CatBoost

USUAL_ROUNDS = 500
"""Rounds until early stopping ends a training, on most tables."""
MANY = 20_000
"""Rows from which on combinations of categories find enough of each to be worth their time."""
PATIENCE = 100
"""Rounds without a lower validation loss, after which the best round is kept."""

SETTINGS = {
    "pace": Setting(
        default=2.0, low=0.5, high=8.0, log=True, about="Factor on the rate that CatBoost chooses for 1,000 rounds."
    ),
    "depth": Setting(default=6, low=3, high=DEEPEST, unit="levels", about="Levels of a tree."),
    "l2_leaf_reg": Setting(default=3.0, low=0.3, high=30.0, log=True, about="Penalty on large leaf values."),
    "random_strength": Setting(default=1.0, low=0.0, high=5.0, about="Noise on the scores of splits."),
    "rsm": Setting(default=1.0, low=0.2, high=1.0, about="Share of columns that a level may ask about."),
}
"""CatBoost's own names, but for the first."""
OF_CATEGORIES = {
    "max_ctr_complexity": Setting(
        default=0,
        low=0,
        high=4,
        about="Most categories that are combined into one; 0: 2 on 20,000 rows or more, else 1.",
    ),
    "one_hot_max_size": Setting(
        default=2,
        low=2,
        high=32,
        log=True,
        unit="values",
        about="Values up to which a category is asked for by itself.",
    ),
    "category_min_count": Setting(
        default=1, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs to be told apart."
    ),
}


class CatBoostLearner:
    """Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features" (2018).

    Categories are CatBoost's own: asked for by themselves where they have few values, else statistics of the target
    among the rows that came before, and combinations of those. Text is seen along a few directions of its n-grams.
    """

    name = "catboost"
    honours = frozenset({"settings", "rounds", "features"})
    modules = ("catboost", "steelyard.learners._catboost_train")
    """What a worker loads ahead: the package takes a second or two to import."""
    about = "Gradient-boosted oblivious trees on numbers, categories by statistics of the target, and text."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, tables without features, and a machine without CatBoost."""
        del task
        return refuse_tables(self.name, schema) or refuse_without(self.name, "catboost")

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the size of trees, the pace, and how categories are seen."""
        of_categories = OF_CATEGORIES if schema.of(Kind.CATEGORY) else {}
        return Space(SETTINGS | of_categories | weight_settings(task) | text_settings(schema, most=20_000))

    def burden(self, settings: Settings) -> float:
        """Return how much a round costs to serve, in leaves of its trees."""
        return 2 ** settings.number("depth", 6)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return the time of so many rounds as early stopping finds, as measured, and a guess at the gain."""
        sums, text, categories = sums_of(task), len(schema.of(Kind.TEXT)), len(schema.of(Kind.CATEGORY))
        numbers = width_of(schema) - categories
        # Leaves of classes are worked out in ten steps, those of values in one.
        a_row = 4e-8 * numbers + (8e-8 if rows < MANY else 2e-7) * categories + (3e-7 if task.classes else 0)
        a_round = 1e-3 * sums + rows * a_row * (0.7 + 0.3 * sums)
        return guess(seconds=0.3 + USUAL_ROUNDS * a_round + 1e-3 * rows * text, gain=tree_gain(schema, rows))

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedCatBoost:
        """Add trees while they lower the loss on ``valid``, or as many as the plan says."""
        need("catboost", for_=self.name)
        from steelyard.learners import _catboost_train as training  # noqa: PLC0415 - loaded by what trains

        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        outcomes = Outcomes.of(train, work.task)
        sight = Sight.fit(plan, settings, train, work, meter)
        cells = sight.train(train)
        if not (outcomes.varied and cells.varied):
            return FittedCatBoost(sight=sight, outcomes=outcomes, model=None, rounds=1)
        course = training.Course(
            cells=cells,
            target=outcomes.coded(train),
            weights=weights_of(train, settings),
            outcomes=outcomes,
            settings=settings.with_(max_ctr_complexity=_complexity(settings, len(train))),
            work=work,
        )
        jury = None
        if plan.rounds is None and valid is not None:
            jury = training.Jury(
                cells=sight.cells(valid.columns),
                split=valid,
                weights=weights_of(valid, settings),
                watch=Watch(work.task, valid, meter, PATIENCE),
            )
        model, rounds, stopped = training.train(course, jury, rounds=plan.rounds, meter=meter)
        return FittedCatBoost(sight=sight, outcomes=outcomes, model=model, rounds=rounds, stopped=stopped)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCatBoost:
    """Trees on what CatBoost sees of a table; ``model`` is ``None`` where there was nothing to learn."""

    sight: Sight
    outcomes: Outcomes
    model: CatBoost | None = field(repr=False)
    rounds: int
    stopped: bool = False

    def scores(self, columns: Columns) -> Floats:
        """Return CatBoost's own predictions."""
        cells = self.sight.cells(columns)
        if self.model is None:
            return self.outcomes.scores(np.tile(self.outcomes.constant, (len(cells.numbers), 1)))
        from steelyard.learners._catboost_train import predict  # noqa: PLC0415 - as in fit

        return self.outcomes.scores(predict(self.model, cells, rounds=self.rounds, threads=self.sight.threads))

    def export(self) -> Artefact:
        """Return blocks, statistics of categories, trees and link as one graph."""
        graph, prelude = Graph(), self.sight.prelude
        numbers, ids = self.sight.build(graph)
        if self.model is None:
            model = Model.constant(self.outcomes.constant)
        else:
            model = read(
                _json(self.model),
                rounds=self.rounds,
                numbers=numbers.width if numbers else 0,
                hashes=hashes(names(self.sight.known + 1)),
            )
        sums = model.build(graph, numbers, ids)
        return Artefact(self.outcomes.seal(graph, sums), prelude.feeds, prelude.files)


def _complexity(settings: Settings, rows: int) -> int:
    """Return how many categories may be combined."""
    return int(settings.number("max_ctr_complexity", 0)) or (2 if rows >= MANY else 1)


def _json(model: CatBoost) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return path.read_bytes()
