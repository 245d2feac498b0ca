"""What models of trees see of a table: numbers as they are, categories, derived features, directions of text."""

from __future__ import annotations

from steelyard.clock import Phase, phase
from steelyard.contracts import Kind, Meter, Schema, Split, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import Codes
from steelyard.learners._directions import DIRECTIONS, directions
from steelyard.learners._features import feature_blocks
from steelyard.learners._numbers import Numbers
from steelyard.learners._sounds import OF_SOUND, sounds
from steelyard.learners._summaries import figures_of
from steelyard.learners._table import names_of
from steelyard.recipe import Plan, Settings

FEW = 1000
"""Rows below which trees have less to split on than linear models have to add up."""
MOST_VALUES = 10_000
"""Most values of one category that get a code."""


@phase(Phase.PREPARING)
def tree_blocks(
    plan: Plan, settings: Settings, train: Split, work: Work, meter: Meter, *, categories: Block | None
) -> tuple[Block, ...]:
    """Return fitted blocks, dense and with NaN where cells are missing; ``categories`` is the learner's own."""
    blocks: list[Block] = []
    if numbers := names_of(work.schema, Kind.NUMBER, Kind.TIME):
        blocks.append(Numbers.fit(train.columns, numbers, standard=False))
    blocks += [categories] if categories else []
    blocks += feature_blocks(plan, train, work, meter, standard=False)
    blocks += directions(train, settings, work, meter)
    blocks += sounds(train, work, standard=False)
    return tuple(blocks)


def codes(settings: Settings, train: Split, schema: Schema) -> Codes | None:
    """Return ordered codes of the categories, if any value stands in enough rows."""
    names = names_of(schema, Kind.CATEGORY)
    least = int(settings.number("category_min_count", 2))
    found = Codes.fit(train.columns, names, least=least, most=MOST_VALUES)
    return found if any(found.values) else None


def width_of(schema: Schema) -> int:
    """Return about how many features there are, for a guess at the time they take."""
    text, heard, sequences = (len(schema.of(kind)) for kind in (Kind.TEXT, Kind.AUDIO, Kind.SEQUENCE))
    plain = len(schema.features) - text - heard - sequences
    return plain + DIRECTIONS * text + OF_SOUND * heard + figures_of(schema)


def tree_gain(schema: Schema, rows: int) -> float:
    """Return the gain expected of boosted trees: less on few rows, and where there is nothing but text."""
    if len(schema.of(Kind.TEXT)) == len(schema.features):
        return 0.3
    return 0.5 if rows >= FEW else 0.4
