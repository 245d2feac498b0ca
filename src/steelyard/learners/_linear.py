"""Logistic and ridge regression on numbers, categories and text."""

from __future__ import annotations

from steelyard.contracts import Kind, Meter, Prior, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import Ids, frequent
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import solve
from steelyard.learners._sums import FittedSums
from steelyard.learners._table import guess, names_of, refuse_tables, text_settings, texts
from steelyard.recipe import Plan, Settings

MOST_VALUES = 1000
"""Most values of one category that get a weight of their own."""


class Linear:
    """Numbers standardised, missing ones the median and flagged; a weight for each frequent category and n-gram."""

    name = "linear"
    honours = frozenset({"settings"})
    about = "Logistic regression (classes) or ridge regression (values) on numbers, categories and text."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, and tables without features."""
        del task
        return refuse_tables(self.name, schema)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty and, with text, how it is cut."""
        del task
        settings = {
            "C": Setting(default=1.0, low=1e-4, high=1e4, log=True, about="Inverse of the penalty on large weights."),
            "min_count": Setting(
                default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for a weight."
            ),
        }
        return Space(settings | text_settings(schema))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the size of the table: some hundred passes over it."""
        cells = rows * (len(schema.features) + 40 * len(schema.of(Kind.TEXT))) * task.width
        return guess(seconds=0.2 + 4e-6 * cells, gain=0.4)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedSums:
        """Fit the weights; validation rows are not needed."""
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        prelude = Prelude(_blocks(train, work.schema, settings, meter))
        parts = prelude.run(train.columns, threads=work.threads)
        weights = solve(beside(parts), train, inverse_penalty=settings.number("C", 1.0), work=work, meter=meter)
        return FittedSums(prelude=prelude, weights=weights, task=work.task, threads=work.threads)


def _blocks(train: Split, schema: Schema, settings: Settings, meter: Meter) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if numbers := names_of(schema, Kind.NUMBER, Kind.TIME):
        blocks.append(Numbers.fit(train.columns, numbers, standard=True))
    if categories := names_of(schema, Kind.CATEGORY):
        least = int(settings.number("min_count", 2))
        ids = Ids(categories, frequent(train.columns, categories, least=least, most=MOST_VALUES))
        blocks += [ids] if ids.width else []
    return (*blocks, *texts(train, schema, settings, meter))
