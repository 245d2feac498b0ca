"""Which tokens a padded row really has: all that a graph needs to know to answer each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.contracts import Columns, Feed, Kind
from steelyard.contracts.ragged import lengths_of


@dataclass(frozen=True, slots=True)
class TokenMask:
    """``inputs[0]``, float32 of shape (n, T): 1 where a row has a token, 0 behind its end; T is at least 1.

    Reads one column of tokens, and takes no options.
    """

    input: str
    column: str

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TOKENS})
    batch: ClassVar[int] = 1024

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> TokenMask:
        """Return the extractor."""
        del files
        shape_of(feed, inputs=1, columns=1)
        options_of(feed, {})
        return cls(feed.inputs[0], feed.columns[0])

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows."""
        lengths = lengths_of(column(columns, self.column))
        places = np.arange(max(1, int(lengths.max(initial=1))))
        return {self.input: (places < lengths[:, None]).astype(np.float32)}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        tokens = len(cells[self.column])
        mask = np.ones((1, max(1, tokens)), np.float32)
        if not tokens:
            mask[:] = 0.0
        return {self.input: mask}
