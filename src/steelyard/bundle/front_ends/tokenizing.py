"""From text to the ids of tokens: what training and serving share, and what training keeps of it in memory."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, column, options_of
from steelyard.contracts import Columns, Feed, Ints
from steelyard.errors import BundleRefused, nearest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LONGEST = 8192
"""Most tokens of a row that an option may ask for."""
CHARACTERS_A_TOKEN = 100
"""Characters of a text that are read for each token that is kept: what lies beyond would be cut off anyway, unless its
words are longer than any language's."""

Cut = tuple[Sequence[int], Sequence[int]]
"""The ids of a row, and for each whether it stands in the first text of a pair (0) or in the second (1)."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """The tokens of some rows, end to end: row i has ``ids[ends[i] : ends[i + 1]]``.

    ``types`` tells the first text of a pair (0) from the second (1); both are int32.

    Examples
    --------
    >>> rows = Ragged.of([([7, 8], [0, 0]), ([9], [0])])
    >>> ids, mask, _ = rows.padded(np.array([1, 0]), pad=0)
    >>> ids.tolist(), mask.tolist()
    ([[9, 0], [7, 8]], [[1, 0], [1, 1]])
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int32]
    ends: Ints

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens a row, shape (n,)."""
        return np.diff(self.ends)

    @classmethod
    def of(cls, rows: Iterable[Cut]) -> Ragged:
        """Join the ids and types of rows."""
        ids: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        types = list(ids)
        for row, kinds in rows:
            ids.append(np.array(row, np.int32))
            types.append(np.array(kinds, np.int32))
        ends = np.cumsum([len(row) for row in ids], dtype=np.int64)
        return cls(np.concatenate(ids), np.concatenate(types), ends)

    def padded(self, rows: Ints, pad: int) -> tuple[Ints, Ints, Ints]:
        """Return ids, mask and types of some rows, int64 of shape (n, L).

        L is the length of the longest of them, at least 1; the mask is 1 where there is a token.
        """
        lengths = self.lengths[rows]
        places = np.arange(max(int(lengths.max(initial=0)), 1))
        there = places < lengths[:, None]
        source = (self.ends[rows][:, None] + places)[there]
        ids, types = np.full(there.shape, pad, np.int64), np.zeros(there.shape, np.int64)
        ids[there], types[there] = self.ids[source], self.types[source]
        return ids, there.astype(np.int64), types


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts the text of one column, or the pair of texts of two, into at most ``length`` tokens."""

    columns: tuple[str, ...]
    tokenizer: Tokenizer = field(repr=False)
    length: int
    pad: int

    @classmethod
    def of(cls, feed: Feed, files: Mapping[str, bytes]) -> Cutter:
        """Return what a feed of the front end ``tokens`` asks for; reads the tokenizer.

        Raises
        ------
        BundleRefused
            If the feed does not keep the form of that front end, or the file is no tokenizer.
        """
        if len(feed.columns) not in {1, 2}:
            raise BundleRefused(f"front end 'tokens' reads a text or a pair of them; the feed names {feed.columns}")
        given = options_of(feed, {"tokenizer": ..., "length": ..., "pad": 0})
        name, length, pad = given["tokenizer"], given["length"], given["pad"]
        if not isinstance(name, str) or name not in files:
            near = nearest(name, files)
            raise BundleRefused(f"front end 'tokens' needs file {name!r}, which is not there{near}")
        if type(length) is not int or not 1 <= length <= LONGEST:
            raise BundleRefused(f"front end 'tokens': length must be 1 to {LONGEST} tokens; got {length!r}")
        if pad < 0:
            raise BundleRefused(f"front end 'tokens': pad must be the id of a token, 0 or more; got {pad}")
        tokenizer = read_tokenizer(files[name], name=name, length=length, pair=len(feed.columns) == 2)
        return cls(feed.columns, tokenizer, length, pad)

    def rows(self, columns: Columns) -> Ragged:
        """Return the tokens of some rows.

        They are cut one by one, so that no more threads run than were asked for.

        Raises
        ------
        RowsRefused
            If a column is absent.
        """
        texts = zip(*(column(columns, name) for name in self.columns), strict=True)
        return Ragged.of(map(self._cut, texts))

    def row(self, cells: Cells) -> Cut:
        """Return the tokens of one row."""
        return self._cut(tuple(cells[name] for name in self.columns))

    def _cut(self, texts: Sequence[str]) -> Cut:
        most = self.length * CHARACTERS_A_TOKEN
        read = [whole(text if len(text) <= most else text[:most]) for text in texts]
        found = self.tokenizer.encode(read[0], read[1] if len(read) == 2 else None)
        return found.ids, found.type_ids


def whole(text: str) -> str:
    """Return a text that can be written as UTF-8: a half of a pair of surrogates becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@functools.cache
def _library() -> Any:
    """Load the library when the first tokenizer is read."""
    return importlib.import_module("tokenizers")


def read_tokenizer(content: bytes, *, name: str, length: int, pair: bool = False) -> Tokenizer:
    """Return a tokenizer that cuts rows off at a length and pads none, whatever its file says of both.

    What looks like a special token in a text is ordinary text to it: nobody ends a sentence for the model.

    Parameters
    ----------
    content
        A ``tokenizer.json`` of the Hugging Face library ``tokenizers``.
    name
        What a refusal calls the file.
    length
        Most tokens of a row, the special ones that the tokenizer adds included.
    pair
        Whether a row is a pair of texts.

    Raises
    ------
    BundleRefused
        If the file is no tokenizer, or adds so many special tokens that no text fits into the length.
    """
    try:
        tokenizer: Tokenizer = _library().Tokenizer.from_buffer(content)
    except ValueError as problem:
        raise BundleRefused(
            f"{name} is no tokenizer that this Steelyard can read ({problem}); export the model again"
        ) from None
    framing = tokenizer.num_special_tokens_to_add(pair)
    if framing + 1 + pair > length:
        raise BundleRefused(f"{name}: a length of {length} leaves no room beside {framing} special tokens; raise it")
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    tokenizer.encode_special_tokens = True
    return tokenizer
