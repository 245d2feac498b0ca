r"""From text to counted n-grams: the one analyser that training and serving share.

The word analyser keeps runs of letters, digits and underscores of any script; a Chinese character or a Japanese
kana, which no space separates from the next, is a word of its own, so that n-grams of two or more find the words.
The char analyser takes every run of characters over normalised white space, which suits scripts without spaces.
Text is normalised first (Unicode NFKC), so that an accent typed in two ways, or a full-width letter, counts as one.

Examples
--------
>>> analyse("The cat, the CAT!", Analyser(high=2))
['the', 'cat', 'the', 'cat', 'the cat', 'cat the', 'the cat']
>>> analyse("不错 wifi", Analyser())
['不', '错', 'wifi']
>>> analyse("很 \n 好", Analyser(analyser="char", low=2, high=3))
['很 ', ' 好', '很 好']
>>> ids, weights = count(["the cat the", "dog"], {"the": 0, "cat": 1}, Analyser())
>>> ids.tolist(), weights.tolist()
([[0, 1], [2, 2]], [[2.0, 1.0], [0.0, 0.0]])
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast
from unicodedata import is_normalized, normalize

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Ints
from steelyard.errors import BundleRefused

Floats32 = NDArray[np.float32]

# Ideographs (with their extensions and compatibility forms), the iteration mark, and both kana.
_ALONE = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")
_PLAIN_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyser:
    """How text is cut: by ``"word"`` or ``"char"``, into n-grams of ``low`` to ``high`` of them."""

    analyser: Literal["word", "char"] = "word"
    low: int = 1
    high: int = 1
    lowercase: bool = True

    def __post_init__(self) -> None:
        if self.analyser not in {"word", "char"}:
            raise BundleRefused(f"the analyser must be 'word' or 'char'; got {self.analyser!r}")
        if not 1 <= self.low <= self.high <= _LONGEST:
            raise BundleRefused(f"n-grams must have 1 <= low <= high <= {_LONGEST}; got {self.low} and {self.high}")

    def options(self) -> dict[str, Any]:
        """Return plain JSON for :attr:`steelyard.contracts.Feed.options`."""
        return asdict(self)


_LONGEST = 16
"""Longest n-gram: beyond that they hardly ever repeat."""


def analyse(text: str, options: Analyser) -> list[str]:
    """Return the n-grams of a text, the short ones first, each as often as it stands there."""
    if not is_normalized("NFKC", text):
        text = normalize("NFKC", text)
    if options.lowercase:
        text = text.lower()
    if options.analyser == "char":
        return _runs(" ".join(text.split()), options.low, options.high)
    words = (_PLAIN_WORD if text.isascii() else _WORD).findall(text)
    return words if options.high == 1 else _phrases(words, options.low, options.high)


def _runs(text: str, low: int, high: int) -> list[str]:
    end = len(text) + 1
    return [text[start : start + size] for size in range(low, high + 1) for start in range(end - size)]


def _phrases(words: list[str], low: int, high: int) -> list[str]:
    found = list(words) if low == 1 else []
    for size in range(max(low, 2), high + 1):
        found += map(" ".join, zip(*(words[start:] for start in range(size)), strict=False))
    return found


def tally(text: str, vocabulary: Mapping[str, int], options: Analyser) -> dict[int, int]:
    """Return how often each n-gram of the vocabulary stands in a text: id to count, in order of appearance."""
    counts: dict[int | None, int] = Counter(map(vocabulary.get, analyse(text, options)))
    counts.pop(None, None)
    return cast("dict[int, int]", counts)


def count(texts: Iterable[str], vocabulary: Mapping[str, int], options: Analyser) -> tuple[Ints, Floats32]:
    """Return ids and counts of the n-grams that a vocabulary knows, row by row.

    Parameters
    ----------
    texts
        One string a row.
    vocabulary
        N-gram to id, the ids being 0 to ``len(vocabulary) - 1``.
    options
        How text is cut.

    Returns
    -------
    tuple
        ``ids`` int64 and ``counts`` float32, both of shape (n, L), where L is the largest number of different
        known n-grams in one of the texts, at least 1. Rows are padded with ``len(vocabulary)`` and 0.
    """
    return pad([tally(text, vocabulary, options) for text in texts], len(vocabulary))


def pad(tallies: Sequence[Mapping[int, int]], size: int) -> tuple[Ints, Floats32]:
    """Return tallies as two rectangular arrays, padded with id ``size`` and count 0."""
    longest = max((len(found) for found in tallies), default=1) or 1
    ids = np.full((len(tallies), longest), size, np.int64)
    counts = np.zeros((len(tallies), longest), np.float32)
    for place, found in enumerate(tallies):
        if found:
            ids[place, : len(found)] = list(found)
            counts[place, : len(found)] = list(found.values())
    return ids, counts


def write_vocabulary(grams: Sequence[str]) -> bytes:
    """Return the vocabulary file of some n-grams: a JSON list, ids by position."""
    return json.dumps(list(grams), ensure_ascii=False).encode(errors="surrogatepass")


def read_vocabulary(content: bytes) -> dict[str, int]:
    """Return n-gram to id from a vocabulary file.

    Raises
    ------
    BundleRefused
        If it is no JSON list of different strings.

    Examples
    --------
    >>> read_vocabulary(write_vocabulary(["cat", "dog"]))
    {'cat': 0, 'dog': 1}
    """
    try:
        grams = json.loads(content)
    except ValueError as problem:
        raise BundleRefused(f"the vocabulary is no JSON ({problem}); export the model again") from None
    if not isinstance(grams, list) or not all(isinstance(gram, str) for gram in grams):
        raise BundleRefused("the vocabulary is no JSON list of strings; export the model again")
    vocabulary = {gram: number for number, gram in enumerate(grams)}
    if len(vocabulary) != len(grams):
        raise BundleRefused("the vocabulary holds an n-gram twice; export the model again")
    return vocabulary
