"""Tokens as pieces of words for a pretrained encoder, with the place of each token's first piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends._token_chars import look
from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.token_looks import cut
from steelyard.bundle.front_ends.tokenizing import LONGEST, read_tokenizer, whole
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused, nearest

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Subwords:
    """Four tensors of n rows, S pieces in the longest row and T tokens.

    ``inputs``, all int64: ids of pieces (n, S), padded behind; the mask of pieces (n, S); ways to be written of each
    piece's token (n, S), 0 for special pieces, since many encoders read lower case alone; and places of the first piece
    of each token (n, T). The place 0 belongs to a special piece: it stands for tokens without a piece
    of their own, for those behind the end of a row, and for those beyond ``length`` pieces, which are not read.

    Options: ``tokenizer`` (name of the file, a ``tokenizer.json`` of the library ``tokenizers``), ``length`` (most
    pieces of a row, special ones included), ``pad`` (the id that pads).
    """

    inputs: tuple[str, ...]
    column: str
    pieces: Pieces

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TOKENS})
    batch: ClassVar[int] = 256

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Subwords:
        """Return the extractor; reads the tokenizer."""
        shape_of(feed, inputs=4, columns=1)
        given = options_of(feed, {"tokenizer": ..., "length": 256, "pad": 0})
        name = given["tokenizer"]
        if name not in files:
            raise BundleRefused(f"front end 'subwords' needs file {name!r}, which is not there{nearest(name, files)}")
        return cls(feed.inputs, feed.columns[0], Pieces.read(files[name], given["length"], given["pad"]))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        return self._tensors(column(columns, self.column))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self._tensors((cells[self.column],))

    def _tensors(self, rows: Sequence[Sequence[str]] | NDArray[np.object_]) -> Tensors:
        laid = self.pieces.padded([self.pieces.of(tokens) for tokens in rows])
        return dict(zip(self.inputs, laid, strict=True))


Row = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Ids of pieces, ways to be written of their tokens, and the first piece of each token."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Cuts tokens into pieces."""

    tokenizer: Tokenizer = field(repr=False)
    pad: int

    @classmethod
    def read(cls, content: bytes, length: int, pad: int) -> Pieces:
        """Read a tokenizer, which cuts rows off at a number of pieces and pads none.

        Raises
        ------
        BundleRefused
            If it is none, or the length makes no sense.
        """
        if not 3 <= length <= LONGEST:
            raise BundleRefused(f"front end 'subwords': length must be from 3 to {LONGEST} pieces; got {length!r}")
        tokenizer = read_tokenizer(content, name="the tokenizer of 'subwords'", length=length)
        return cls(tokenizer, pad)

    def of(self, tokens: Sequence[str]) -> Row:
        """Return the pieces of a row."""
        found = self.tokenizer.encode([whole(cut(token)) for token in tokens], is_pretokenized=True)
        first, looks = np.zeros(len(tokens), np.int64), np.zeros(len(found.ids), np.int64)
        for place, token in reversed(list(enumerate(found.word_ids))):
            if token is not None:
                first[token], looks[place] = place, look(tokens[token])
        return np.array(found.ids, np.int64), looks, first

    def padded(self, rows: Sequence[Row]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return rows laid together: ids, mask and ways to be written of pieces, and the first piece of each token."""
        pieces = max((len(ids) for ids, _, _ in rows), default=1) or 1
        tokens = max((len(first) for _, _, first in rows), default=1) or 1
        ids = np.full((len(rows), pieces), self.pad, np.int64)
        looks, mask = np.zeros_like(ids), np.zeros_like(ids)
        first = np.zeros((len(rows), tokens), np.int64)
        for place, (own, written, begins) in enumerate(rows):
            ids[place, : len(own)], mask[place, : len(own)] = own, 1
            looks[place, : len(own)], first[place, : len(begins)] = written, begins
        return ids, mask, looks, first
