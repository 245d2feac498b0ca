"""Logistic and ridge regression on numbers, categories and text."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Kind, Meter, Prior, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import Ids, frequent
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import beside
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import solve
from steelyard.learners._sums import FittedSums
from steelyard.learners._table import guess, names_of, prelude_of, refuse_tables, sums_of, text_settings, texts
from steelyard.learners._words import Words
from steelyard.recipe import Plan, Settings

MOST_VALUES = 1000
"""Most values of one category that get a weight of their own."""


TEXT_GAIN = 3.0
"""Factor on tf-idf weights, which are far smaller than standardised numbers and would be penalised for it."""


class Linear:
    """Numbers standardised, missing ones the median and flagged; a weight for each frequent category and n-gram."""

    name = "linear"
    honours = frozenset({"settings"})
    weighty = True
    """What it knows of text is one large table of weights, so 8 bits make it a quarter of the size."""
    about = "Logistic regression (classes) or ridge regression (values) on numbers, categories and text."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, and tables without features."""
        del task
        return refuse_tables(self.name, schema)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty and, with text, how it is cut."""
        del task
        settings = {
            "C": Setting(default=1.0, low=1e-3, high=1e3, log=True, about="Inverse of the penalty on large weights."),
            "category_min_count": Setting(
                default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for a weight."
            ),
        }
        return Space(settings | text_settings(schema, most=100_000))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the size of the table: some hundred passes over it."""
        sums, text = sums_of(task), len(schema.of(Kind.TEXT))
        per_row = 1.5e-6 * sums * len(schema.features) + text * (2e-4 + 1e-5 * sums)
        return guess(seconds=0.2 + rows * per_row, gain=0.5 if text else 0.4)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedSums:
        """Fit the weights; validation rows are not needed."""
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        prelude = prelude_of(self.name, _blocks(train, work.schema, settings, meter))
        parts = prelude.run(train.columns, threads=work.threads)
        gains = [TEXT_GAIN if isinstance(block, Words) else 1.0 for block in prelude.blocks]
        features = beside(tuple(part * gain for part, gain in zip(parts, gains, strict=True)))
        weights = solve(features, train, inverse_penalty=settings.number("C", 1.0), work=work, meter=meter)
        weights.slopes[:] *= np.repeat(gains, [part.shape[1] for part in parts]).reshape(-1, 1)
        return FittedSums(prelude=prelude, weights=weights, task=work.task, threads=work.threads)


def _blocks(train: Split, schema: Schema, settings: Settings, meter: Meter) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if numbers := names_of(schema, Kind.NUMBER, Kind.TIME):
        blocks.append(Numbers.fit(train.columns, numbers, standard=True))
    if categories := names_of(schema, Kind.CATEGORY):
        least = int(settings.number("category_min_count", 2))
        ids = Ids(categories, frequent(train.columns, categories, least=least, most=MOST_VALUES))
        blocks += [ids] if ids.width else []
    return (*blocks, *texts(train, schema, settings, meter))
