"""Tokens as the features that they have, each by its number: what a linear tagger gathers rows of weights with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.text import read_vocabulary
from steelyard.bundle.front_ends.token_looks import TEMPLATES, features
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused, nearest


@dataclass(frozen=True, slots=True)
class TokenFeatures:
    """``inputs[0]`` int64 ids, shape (n, T, :data:`TEMPLATES`), and ``inputs[1]`` the mask of tokens, float32 (n, T).

    T is the number of tokens of the longest row of the batch, at least 1. A feature that is not known has the id one
    past the vocabulary, and so have all those behind the end of a row.
    Options: ``vocabulary`` (name of the file).
    """

    ids: str
    mask: str
    column: str
    vocabulary: Mapping[str, int]

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TOKENS})
    batch: ClassVar[int] = 1024

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> TokenFeatures:
        """Return the extractor; reads the vocabulary."""
        shape_of(feed, inputs=2, columns=1)
        name = options_of(feed, {"vocabulary": ...})["vocabulary"]
        if name not in files:
            near = nearest(name, files)
            raise BundleRefused(f"front end 'token-features' needs file {name!r}, which is not there{near}")
        ids, mask = feed.inputs
        return cls(ids, mask, feed.columns[0], read_vocabulary(files[name]))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        return self._tensors(column(columns, self.column))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self._tensors((cells[self.column],))

    def _tensors(self, rows: Any) -> Tensors:
        longest = max(1, *map(len, rows)) if len(rows) else 1
        unknown = len(self.vocabulary)
        ids: NDArray[np.int64] = np.full((len(rows), longest, TEMPLATES), unknown, np.int64)
        mask = np.zeros((len(rows), longest), np.float32)
        known = self.vocabulary.get
        for place, tokens in enumerate(rows):
            if tokens:
                flat = [known(feature, unknown) for each in features(tokens) for feature in each]
                ids[place, : len(tokens)] = np.array(flat, np.int64).reshape(-1, TEMPLATES)
                mask[place, : len(tokens)] = 1.0
        return {self.ids: ids, self.mask: mask}
