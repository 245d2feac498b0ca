"""Text as counted n-grams: two tensors, ids and counts, that a graph gathers rows of weights with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.text import Analyser, count, read_vocabulary, tally
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused, nearest


@dataclass(frozen=True, slots=True)
class Counts:
    """``inputs[0]`` int64 ids and ``inputs[1]`` float32 counts, both (n, L).

    L is the largest number of different known n-grams in a row of the batch, at least 1; rows are padded with an
    id one past the vocabulary and a count of 0, so the graph's table of weights has one more row, of zeros.
    Options: ``vocabulary`` (name of the file), and those of :class:`steelyard.bundle.front_ends.text.Analyser`.
    """

    ids: str
    counts: str
    column: str
    vocabulary: Mapping[str, int]
    analyser: Analyser

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TEXT})
    batch: ClassVar[int] = 1024

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Counts:
        """Return the extractor; reads the vocabulary."""
        shape_of(feed, inputs=2, columns=1)
        options = options_of(feed, {"vocabulary": ..., **Analyser().options()})
        name = options.pop("vocabulary")
        if name not in files:
            raise BundleRefused(f"front end 'counts' needs file {name!r}, which is not there{nearest(name, files)}")
        ids, counts = feed.inputs
        return cls(ids, counts, feed.columns[0], read_vocabulary(files[name]), Analyser(**options))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        ids, counts = count(column(columns, self.column), self.vocabulary, self.analyser)
        return {self.ids: ids, self.counts: counts}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        found = tally(cells[self.column], self.vocabulary, self.analyser) or {len(self.vocabulary): 0}
        return {
            self.ids: np.array([list(found)], np.int64),
            self.counts: np.array([list(found.values())], np.float32),
        }
