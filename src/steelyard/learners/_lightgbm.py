"""Gradient-boosted trees on numbers, categories and text."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
from sklearn.decomposition import TruncatedSVD

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
from steelyard.learners._block import Block, Dense
from steelyard.learners._boosting import Scale, Watch, boost
from steelyard.learners._categories import Codes
from steelyard.learners._graph import Graph
from steelyard.learners._head import seal
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import scale_of
from steelyard.learners._table import guess, names_of, prelude_of, refuse_tables, sums_of, text_settings, texts
from steelyard.learners._trees import trees
from steelyard.learners._words import Directions, Words
from steelyard.recipe import Plan, Settings

MOST_VALUES = 10_000
"""Most values of one category that get a code."""
DIRECTIONS = 32
"""Directions that a text column is seen along."""
MANY_CELLS = 500_000
"""Cells of a matrix from which on more than one thread is used."""
FEW = 1000
"""Rows below which trees have less to split on than linear models have to add up."""
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
    honours = frozenset({"settings", "rounds"})
    about = "Gradient-boosted decision trees on numbers, categories and text; missing values as they are."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, and tables without features."""
        del task
        return refuse_tables(self.name, schema)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the size of trees, the pace, and what each round sees."""
        del task
        return Space(SETTINGS | text_settings(schema, most=20_000))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the size of the table and 300 rounds."""
        sums, text = sums_of(task), len(schema.of(Kind.TEXT))
        features = len(schema.features) + DIRECTIONS * text
        return guess(
            seconds=0.3 + 300 * sums * (2e-3 + 1.5e-8 * rows * features) + 1e-3 * rows * text, gain=_gain(schema, rows)
        )

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedTrees:
        """Add trees while they lower the loss on ``valid``, or as many as the plan says."""
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        prelude = prelude_of(self.name, _blocks(train, settings, work, meter))
        matrix = beside(prelude.run(train.columns, threads=work.threads))
        scale = Scale(*scale_of(train)) if work.task.problem is Problem.REGRESSION else Scale()
        parameters = _parameters(settings, work, len(train), cells=matrix.size)
        data = _dataset(matrix, train, scale, parameters)
        booster = lightgbm.Booster(parameters, data)
        watch = None
        if plan.rounds is None and valid is not None:
            seen = beside(prelude.run(valid.columns, threads=work.threads))
            booster.add_valid(_dataset(seen, valid, scale, parameters, like=data), "valid")
            watch = Watch(work.task, valid, scale, meter)
        rounds, stopped = boost(booster, rounds=plan.rounds, watch=watch, meter=meter)
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
        made = [item.tensor for item in self.prelude.build(graph) if isinstance(item, Dense)]
        matrix = graph.add("Concat", *made, axis=1) if len(made) > 1 else made[0]
        total = trees(graph, matrix, self.booster.model_to_string(num_iteration=self.rounds), sums=sums_of(task))
        if task.problem is Problem.REGRESSION:
            spread, centre = (np.array(x, np.float32) for x in (self.scale.spread, self.scale.centre))
            total = graph.add("Add", graph.add("Mul", total, graph.constant(spread)), graph.constant(centre))
        return Artefact(seal(graph, total, task), self.prelude.feeds, self.prelude.files)


def _gain(schema: Schema, rows: int) -> float:
    """Return the expected gain: less on few rows, and where there is nothing but text."""
    if len(schema.of(Kind.TEXT)) == len(schema.features):
        return 0.3
    return 0.5 if rows >= FEW else 0.4


def _blocks(train: Split, settings: Settings, work: Work, meter: Meter) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if numbers := names_of(work.schema, Kind.NUMBER, Kind.TIME):
        blocks.append(Numbers.fit(train.columns, numbers, standard=False))
    if categories := names_of(work.schema, Kind.CATEGORY):
        least = int(settings.number("category_min_count", 2))
        codes = Codes.fit(train.columns, categories, least=least, most=MOST_VALUES)
        blocks += [codes] if any(codes.values) else []
    found = texts(train, work.schema, settings, meter)
    return (*blocks, *(_directions(words, train, work) for words in found))


def _directions(words: Words, train: Split, work: Work) -> Directions:
    (features,) = Prelude((words,)).run({words.column: train.columns[words.column]}, threads=work.threads)
    count = min(DIRECTIONS, *features.shape)
    if count < features.shape[1]:
        model = TruncatedSVD(count, random_state=work.seed).fit(features.astype(np.float64))
        return Directions(words, model.components_.T)
    return Directions(words, np.eye(features.shape[1]))


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


def _dataset(
    matrix: Floats, split: Split, scale: Scale, parameters: dict[str, object], *, like: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    target = (split.target - scale.centre) / scale.spread
    return lightgbm.Dataset(matrix, target, weight=split.weights, reference=like, params=parameters)
