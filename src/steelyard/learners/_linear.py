"""Logistic and ridge regression on splines of numbers, on calendar parts, categories and text."""

from __future__ import annotations

import math

import numpy as np

from steelyard.clock import Phase, phase
from steelyard.contracts import Kind, Meter, Prior, Problem, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import Ids, frequent
from steelyard.learners._crosses import Crosses
from steelyard.learners._dates import Dates
from steelyard.learners._features import feature_blocks
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import beside
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import solve
from steelyard.learners._sounds import sounds
from steelyard.learners._splines import Splines
from steelyard.learners._summaries import Summaries, figures_of
from steelyard.learners._sums import FittedSums
from steelyard.learners._table import guess, names_of, prelude_of, refuse_tables, sums_of, text_settings, texts
from steelyard.learners._words import Words
from steelyard.recipe import Plan, Settings

MOST_VALUES = 1000
"""Most values of one category that get a weight of their own."""
MOST_CELLS = 100_000_000
"""Most cells of all splines in training, 4 bytes each: beyond, they get fewer pieces."""
ROOT_ROWS = 4.0
"""Pieces of a spline are at most the square root of the rows over this."""
LEAST_PIECES = 4
"""... but not fewer than these for want of rows."""
PIECES_OF_FIGURES = 6
"""Most pieces of a figure that sums up a sequence: there are ten of each channel, and they say much the same."""
TEXT_GAIN = 6.7
"""Factor on tf-idf weights, which are far smaller than standardised numbers and would be penalised for it."""
CROSS_GAIN = 0.4
"""Factor on the cells of crosses: there are many, of few rows each, and what they add comes after the rest."""


class Linear:
    """Numbers as splines, missing ones the median and flagged; a weight for each frequent category and n-gram."""

    name = "linear"
    honours = frozenset({"settings", "features"})
    modules = ("scipy.optimize", "scipy.linalg", "scipy.sparse")
    """What a worker loads ahead."""
    weighty = True
    """What it knows of text is one large table of weights, so 8 bits make it a quarter of the size."""
    about = (
        "Logistic regression (classes) or ridge regression (values) on splines of numbers, categories, text and sounds."
    )

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, and tables without features."""
        del task
        return refuse_tables(self.name, schema, hears=True)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty, how far numbers bend, which categories and classes count and how text is cut."""
        settings = {
            "C": Setting(default=0.2, low=1e-3, high=10.0, log=True, about="Inverse of the penalty on large weights."),
            "spline_pieces": Setting(
                default=32,
                low=0,
                high=64,
                unit="pieces",
                about="Most pieces of a number's spline, fewer on few rows; 0: a straight line.",
            ),
            "category_min_count": Setting(
                default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for a weight."
            ),
        }
        if task.problem is not Problem.REGRESSION:
            settings["class_weight"] = Setting(
                default="none", options=("none", "balanced"), about="Whether a rare class weighs as much as any other."
            )
        return Space(settings | text_settings(schema, most=100_000))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the size of the table: some twenty passes over it."""
        sums, text = sums_of(task), len(schema.of(Kind.TEXT))
        heard = len(schema.of(Kind.AUDIO))
        per_row = 2e-6 * sums * (len(schema.features) + figures_of(schema)) + text * (2e-4 + 1e-5 * sums)
        per_row += heard * (3e-3 + 1e-4 * sums)
        return guess(seconds=0.2 + rows * per_row, gain=0.5 if text or heard else 0.4)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedSums:
        """Fit the weights; validation rows are not needed."""
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        most = _pieces(settings, len(train), work.schema)
        derived = feature_blocks(plan, train, work, meter, standard=True, sparse=True)
        blocks = (
            *_blocks(train, work.schema, settings, most),
            *(_bent(block, train, most) for block in derived),
            *texts(train, work.schema, settings, meter),
            *sounds(train, work, standard=True),
        )
        prelude = prelude_of(self.name, blocks)
        parts = prelude.train(train, threads=work.threads)
        gains = [_gain(block) for block in prelude.blocks]
        features = beside(tuple(part if gain == 1 else part * gain for part, gain in zip(parts, gains, strict=True)))
        weights = solve(
            features,
            train,
            inverse_penalty=settings.number("C", 0.2),
            work=work,
            meter=meter,
            balanced=settings.get("class_weight") == "balanced",
        )
        weights.slopes[:] *= np.repeat(gains, [part.shape[1] for part in parts]).reshape(-1, 1)
        return FittedSums(prelude=prelude, weights=weights, task=work.task, threads=work.threads)


def _gain(block: Block) -> float:
    return TEXT_GAIN if isinstance(block, Words) else CROSS_GAIN if isinstance(block, Crosses) else 1.0


def _pieces(settings: Settings, rows: int, schema: Schema) -> int:
    """Return the most pieces of a spline: fewer on few rows, and where a long and wide table would fill the memory."""
    columns = max(1, len(schema.of(Kind.NUMBER)))
    by_rows = max(LEAST_PIECES, int(math.sqrt(rows) / ROOT_ROWS))
    return min(int(settings.number("spline_pieces", 32)), by_rows, max(1, MOST_CELLS // (rows * columns)))


@phase(Phase.PREPARING)
def _blocks(train: Split, schema: Schema, settings: Settings, most: int) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if names := names_of(schema, Kind.NUMBER, Kind.TIME):
        numbers = Numbers.fit(train.columns, names, standard=True)
        # Time goes on where training ends, so it stays a straight line.
        bent = tuple(place for place, name in enumerate(names) if name not in names_of(schema, Kind.TIME))
        splines = Splines.fit(numbers, train.columns, among=bent, most=most) if most and bent else None
        blocks.append(splines or numbers)
    if categories := names_of(schema, Kind.CATEGORY):
        least = int(settings.number("category_min_count", 2))
        ids = Ids(categories, frequent(train.columns, categories, least=least, most=MOST_VALUES))
        blocks += [ids] if ids.width else []
    return tuple(blocks)


def _bent(block: Block, train: Split, most: int) -> Block:
    """Return splines of calendar parts and of what sums up sequences; other blocks as they are."""
    most = min(most, PIECES_OF_FIGURES) if isinstance(block, Summaries) else most
    bends = most and isinstance(block, Dates | Summaries)
    return (Splines.fit(block, train.columns, most=most) if bends else None) or block
