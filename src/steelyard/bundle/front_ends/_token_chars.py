"""Tokens as numbers of words, of their characters, and of how they are written: what a net that tags reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.token_looks import cut
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused, nearest

CHARACTERS = 20
"""Characters of a token that are read; of longer ones the first 12 and the last 8."""
_HEAD, _TAIL = 12, 8
LOOKS = 12
"""Ways to be written, 0 for none."""
PAD, UNKNOWN = 0, 1
"""Numbers of nothing, and of what was never seen; words and characters begin behind them."""


@dataclass(frozen=True, slots=True)
class TokenChars:
    """Four tensors of a padded batch of n rows, the longest of T tokens, at least 1.

    ``inputs``: int64 words (n, T), int64 characters (n, T, :data:`CHARACTERS`), int64 ways to be written (n, T), and
    the mask, float32 (n, T). Options: ``vocabulary`` (name of a file with ``words``, in lower case, and
    ``characters``).
    """

    inputs: tuple[str, ...]
    column: str
    known: Known

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TOKENS})
    batch: ClassVar[int] = 1024

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> TokenChars:
        """Return the extractor; reads the vocabulary."""
        shape_of(feed, inputs=4, columns=1)
        name = options_of(feed, {"vocabulary": ...})["vocabulary"]
        if name not in files:
            near = nearest(name, files)
            raise BundleRefused(f"front end 'token-chars' needs file {name!r}, which is not there{near}")
        return cls(feed.inputs, feed.columns[0], Known.read(files[name]))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        return self._tensors(column(columns, self.column))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self._tensors((cells[self.column],))

    def _tensors(self, rows: Sequence[Sequence[str]] | NDArray[np.object_]) -> Tensors:
        laid = padded([self.known.of(tokens) for tokens in rows])
        return dict(zip(self.inputs, laid, strict=True))


Row = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Words, characters and ways to be written of the tokens of a row."""


@dataclass(frozen=True, slots=True)
class Known:
    """The words and characters that were seen in training, with their numbers."""

    words: Mapping[str, int]
    characters: Mapping[str, int]

    @classmethod
    def of_lists(cls, words: Sequence[str], characters: Sequence[str]) -> Known:
        """Give some words and characters their numbers."""
        return cls(
            {word: number for number, word in enumerate(words, start=UNKNOWN + 1)},
            {character: number for number, character in enumerate(characters, start=UNKNOWN + 1)},
        )

    @classmethod
    def read(cls, content: bytes) -> Known:
        """Read what :meth:`write` wrote.

        Raises
        ------
        BundleRefused
            If it is no JSON object of two lists of strings.
        """
        try:
            data: Any = json.loads(content)
            words, characters = data["words"], data["characters"]
            fits = all(isinstance(part, list) and all(isinstance(t, str) for t in part) for part in (words, characters))
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise BundleRefused("the vocabulary of 'token-chars' holds no words and characters; export the model again")
        return cls.of_lists(words, characters)

    def write(self) -> bytes:
        """Return the file."""
        return json.dumps({"words": list(self.words), "characters": list(self.characters)}).encode()

    def of(self, tokens: Sequence[str]) -> Row:
        """Return the numbers of the tokens of a row."""
        words = np.array([self.words.get(cut(token).lower(), UNKNOWN) for token in tokens], np.int64)
        looks = np.array([look(token) for token in tokens], np.int64)
        characters = np.zeros((len(tokens), CHARACTERS), np.int64)
        for place, token in enumerate(tokens):
            read = token if len(token) <= CHARACTERS else token[:_HEAD] + token[-_TAIL:]
            characters[place, : len(read)] = [self.characters.get(c, UNKNOWN) for c in read]
        return words, characters, looks


def padded(rows: Sequence[Row]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return rows laid together, padded to the longest: words, characters, ways to be written, and the mask."""
    longest = max((len(words) for words, _, _ in rows), default=1) or 1
    words = np.zeros((len(rows), longest), np.int64)
    characters = np.zeros((len(rows), longest, CHARACTERS), np.int64)
    looks, mask = np.zeros_like(words), np.zeros((len(rows), longest), np.float32)
    for place, (own, letters, written) in enumerate(rows):
        tokens = len(own)
        words[place, :tokens], characters[place, :tokens] = own, letters
        looks[place, :tokens], mask[place, :tokens] = written, 1.0
    return words, characters, looks, mask


_SIGNS = {"@": 6, "#": 7}


@lru_cache(maxsize=20_000)
def look(token: str) -> int:
    """Return the number of how a token is written: in lower case, with a capital, in capitals, as a number, a handle.

    Examples
    --------
    >>> [look(token) for token in ("oslo", "Oslo", "OSLO", "iPhone", "3,000", "@you", "#now", "http://a.b", "!", "7up")]
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """
    if token.startswith(("http:", "https:", "www.")):
        return 8
    if len(token) > 1 and token[0] in _SIGNS:
        return _SIGNS[token[0]]
    letters = "".join(filter(str.isalpha, token))
    if any(map(str.isdigit, token)):
        return 10 if letters else 5
    return _capitals(letters) if letters else 9


def _capitals(letters: str) -> int:
    """Tell letters in lower case from a capital, capitals, a mixture, and scripts that have none."""
    if letters.lower() == letters.upper():
        return 11
    if letters.islower():
        return 1
    if letters.isupper() and len(letters) > 1:
        return 3
    return 2 if letters[0].isupper() and letters[1:] == letters[1:].lower() else 4
