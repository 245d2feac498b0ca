"""Extremely randomised trees on numbers, categories and text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

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
from steelyard.learners._boosting import Clock
from steelyard.learners._forest import Tree, forest
from steelyard.learners._graph import Graph
from steelyard.learners._outcomes import Outcomes, weight_settings, weights_of
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess, prelude_of, refuse_tables, sums_of, text_settings
from steelyard.learners._tree_blocks import codes, tree_blocks, tree_gain, width_of
from steelyard.recipe import Plan, Settings

FAR = np.float32(1e30)
"""Where values are cut off: no split lies beyond, and a column of them can still be summed."""
AT_ONCE = 20
"""Trees grown between two looks at the clock."""
SETTINGS = {
    "trees": Setting(default=100, low=25, high=400, log=True, about="Trees that are averaged."),
    "max_features": Setting(default=0.5, low=0.05, high=1.0, about="Share of columns that a split may choose from."),
    "min_samples_leaf": Setting(default=2, low=1, high=50, log=True, unit="rows", about="Least rows of a leaf."),
    "max_leaf_nodes": Setting(
        default=1000, low=100, high=4000, log=True, unit="leaves", about="Most leaves of a tree: what it may weigh."
    ),
    "category_min_count": Setting(
        default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for a code of its own."
    ),
}
"""scikit-learn's own names, but for the first and the last."""

Forest = Any
"""A forest of scikit-learn, which has no types."""


class ExtraTrees:
    """Geurts, Ernst, Wehenkel, "Extremely randomized trees" (2006), by scikit-learn.

    Categories are ordered codes, text a few directions of its n-grams; missing values go the way that splits learnt.
    More trees are never worse, so there are no rounds to stop: ``trees`` is a setting.
    """

    name = "extra-trees"
    honours = frozenset({"settings", "features"})
    modules = ("sklearn.ensemble",)
    """What a worker loads ahead."""
    about = "The average of randomised decision trees on numbers, categories and text; missing values as they are."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, and tables without features."""
        del task
        return refuse_tables(self.name, schema, hears=True)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the number and size of trees, and what a split sees."""
        return Space(SETTINGS | weight_settings(task) | text_settings(schema, most=20_000))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return the time that was measured, and a guess at the gain: a little less than boosting brings."""
        text, width = len(schema.of(Kind.TEXT)), width_of(schema)
        seconds = 0.4 + rows * (3.5e-5 * math.sqrt(width) * (0.9 + 0.1 * sums_of(task)) + 1e-3 * text)
        return guess(seconds=seconds, gain=0.9 * tree_gain(schema, rows))

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedExtraTrees:
        """Grow trees until there are as many as the settings say, or the deadline; validation rows are not needed."""
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        categories = codes(settings, train, work.schema)
        prelude = prelude_of(self.name, tree_blocks(plan, settings, train, work, meter, categories=categories))
        outcomes = Outcomes.of(train, work.task)
        model = _model(settings, work)
        clock = Clock(meter, int(settings.number("trees", 1)))
        target, weights = outcomes.coded(train), weights_of(train, settings)
        matrix = _finite(beside(prelude.train(train, threads=work.threads)))
        for count in (*range(AT_ONCE, clock.wanted, AT_ONCE), clock.wanted):
            model.set_params(n_estimators=count)
            model.fit(matrix, target, weights)
            if clock.late(count):
                break
        return FittedExtraTrees(
            prelude=prelude, model=model, outcomes=outcomes, threads=work.threads, stopped=clock.out
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedExtraTrees:
    """Trees on the blocks of a prelude."""

    prelude: Prelude
    model: Forest = field(repr=False)
    outcomes: Outcomes
    threads: int
    rounds: int | None = None
    stopped: bool = False

    def scores(self, columns: Columns) -> Floats:
        """Return scikit-learn's own predictions on the same matrix."""
        matrix = _finite(beside(self.prelude.run(columns, threads=self.threads)))
        task = self.outcomes.task
        if task.problem is Problem.REGRESSION:
            return self.outcomes.scores(self.model.predict(matrix))
        shares = np.zeros((len(matrix), task.width))
        shares[:, self.outcomes.present] = self.model.predict_proba(matrix)
        return shares

    def export(self) -> Artefact:
        """Return prelude and trees as one graph."""
        graph, task = Graph(), self.outcomes.task
        matrix = side_by_side(graph, [item for item in self.prelude.build(graph) if isinstance(item, Dense)])
        sums = forest(graph, matrix, self._trees(), sums=sums_of(task))
        model = graph.seal((self._scores(graph, sums), TensorProto.FLOAT, ["n", task.width]))
        return Artefact(model, self.prelude.feeds, self.prelude.files)

    def _scores(self, graph: Graph, sums: str) -> str:
        """Add the nodes from averages to scores; two classes have the share of the second alone."""
        task = self.outcomes.task
        if task.problem is Problem.REGRESSION:
            return graph.add("Identity", self.outcomes.scale.undo(graph, sums, task), output="scores")
        # Sums of shares in float32 may leave the range by a last digit.
        ends = (graph.constant(np.array(end, np.float32)) for end in (0, 1))
        if task.problem is Problem.MULTICLASS:
            return graph.add("Clip", sums, *ends, output="scores")
        second = graph.add("Clip", sums, *ends)
        first = graph.add("Sub", graph.constant(np.ones((1, 1), np.float32)), second)
        return graph.add("Concat", first, second, axis=1, output="scores")

    def _trees(self) -> list[Tree]:
        """Return the trees, each with its share of the average."""
        grown = [one.tree_ for one in self.model.estimators_]
        problem, present = self.outcomes.task.problem, self.outcomes.present
        targets = present if problem is Problem.MULTICLASS else np.zeros(1, np.int64)
        taken = (present == 1).reshape(-1, 1) if problem is Problem.BINARY else np.eye(max(1, len(present)))
        return [
            Tree(
                feature=tree.feature,
                cut=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                missing_left=tree.missing_go_to_left.astype(bool),
                weights=tree.value[tree.children_left < 0, 0] @ taken / len(grown),
                targets=targets,
            )
            for tree in grown
        ]


def _model(settings: Settings, work: Work) -> Forest:
    names = ("max_features", "min_samples_leaf", "max_leaf_nodes")
    forests = need("sklearn.ensemble", for_="extra-trees")
    values = work.task.problem is Problem.REGRESSION
    kind = forests.ExtraTreesRegressor if values else forests.ExtraTreesClassifier
    given = {name: settings[name] for name in names}
    return kind(**given, warm_start=True, n_jobs=work.threads, random_state=work.seed)


def _finite(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the matrix without infinities, which scikit-learn refuses; splits send them where the far values go."""
    return np.clip(matrix, -FAR, FAR)
