"""A column of sequences as a few figures a channel: mean, slope, last reading, quartiles and the like.

What a learner of tables sees of a sequence. Barandas et al., "TSFEL: Time series feature extraction library"
(SoftwareX, 2020) and Christ et al., "tsfresh" (Neurocomputing, 2018) collect many more; these cost microseconds a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Column, Columns, Feed, Kind, Schema
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph
from steelyard.learners._numbers import Numbers

MOST_STEPS = 10_000
"""Readings of a row that are summarised, the last ones."""
FIGURES = 10
"""Figures of a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """The figures of one column, shifted, scaled and filled as numbers are."""

    feed: Feed
    numbers: Numbers

    @classmethod
    def fit(cls, columns: Columns, column: Column, *, tag: str, standard: bool) -> Summaries:
        """Learn what :class:`~steelyard.learners._numbers.Numbers` learns of columns, here of figures."""
        options = {"channels": len(column.channels), "longest": longest_of(columns[column.name])}
        feed = Feed("summary", (tag,), (column.name,), options)
        front = FRONT_ENDS[feed.front_end](feed, {})
        cells = columns[column.name]
        step = front.batch
        parts = [front({column.name: cells[at : at + step]})[tag] for at in range(0, max(len(cells), 1), step)]
        figures = np.concatenate(parts)
        names = tuple(f"{column.name}_{place}" for place in range(figures.shape[1]))
        return cls(feed=feed, numbers=Numbers.of(figures, names, standard=standard, tag=tag))

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of figures."""
        return (self.feed,)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def build(self, graph: Graph) -> Dense:
        """Add the nodes of numbers."""
        return self.numbers.build(graph)


def longest_of(cells: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | np.ndarray) -> int:
    """Return how many readings the longest of some sequences has, from 1 to :data:`MOST_STEPS`."""
    return min(max(map(len, cells), default=1) or 1, MOST_STEPS)


def summaries(columns: Columns, schema: Schema, *, standard: bool) -> list[Summaries]:
    """Return one fitted block a column of sequences."""
    return [
        Summaries.fit(columns, column, tag=f"summary_{place}", standard=standard)
        for place, column in enumerate(schema.of(Kind.SEQUENCE))
    ]


def figures_of(schema: Schema) -> int:
    """Return how many figures the sequences of a table come to."""
    return sum(1 + FIGURES * len(column.channels) for column in schema.of(Kind.SEQUENCE))
