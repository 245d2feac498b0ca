"""Text as the ids of tokens, cut by a tokenizer that the artefact carries as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from steelyard.bundle.front_ends.base import Cells, Tensors
from steelyard.bundle.front_ends.tokenizing import Cutter
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused

_TOKENS_AT_ONCE = 2**13


@dataclass(frozen=True, slots=True)
class Tokens:
    """int64 ids, mask and, where a third input is named, types, all of shape (n, L).

    A file of the Hugging Face library ``tokenizers`` says how text is cleaned, cut and framed by special tokens; two
    columns are a pair, in the way of that file. L is the length of the longest row of the batch: shorter ones are
    padded at the end and masked with 0. A text without any token is masked altogether, and L is at least 1.

    Options: ``tokenizer`` (name of the file), ``length`` (most tokens of a row, special ones included; the rest is cut
    off at the end, of a pair from the longer text first), ``pad`` (the id that pads, 0 by default).
    """

    inputs: tuple[str, ...]
    cutter: Cutter

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TEXT})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Tokens:
        """Return the extractor; reads the tokenizer."""
        if len(feed.inputs) not in {2, 3}:
            raise BundleRefused(
                f"front end 'tokens' fills 2 or 3 graph inputs (ids, mask, types); the feed names {feed.inputs}"
            )
        return cls(feed.inputs, Cutter.of(feed, files))

    @property
    def batch(self) -> int:
        """Most rows at once: short texts many, long ones few."""
        return min(max(_TOKENS_AT_ONCE // self.cutter.length, 8), 512)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        rows = self.cutter.rows(columns)
        return dict(zip(self.inputs, rows.padded(np.arange(len(rows)), self.cutter.pad), strict=False))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        ids, types = self.cutter.row(cells)
        there = int(bool(ids))
        tensors = (ids or [self.cutter.pad], [there] * max(len(ids), 1), types or [0])
        return {name: np.array([one], np.int64) for name, one in zip(self.inputs, tensors, strict=False)}
