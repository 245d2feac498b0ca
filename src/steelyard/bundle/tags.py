"""From the probabilities of tags to the tags of a row: the most probable ones that are consistent.

A row's tags are consistent where no ``I`` stands without a ``B`` or ``I`` of its type before it. Of all consistent
rows the one is decided on whose tags have the highest product of probabilities, found as Viterbi does [1]_. Where the
most probable tag of each token is consistent already, that is the one.

References
----------
.. [1] Viterbi. Error bounds for convolutional codes and an asymptotically optimum decoding algorithm. IEEE Trans.
   Information Theory 1967.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.contracts.ragged import batches, flattened, parted
from steelyard.tasks.spans import codes_of

FAINT = 1e-12
"""A probability counts as no less, so that its logarithm is finite."""
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class _Steps:
    """What may follow what, as costs to be added to logarithms: 0, or so much that it is never taken."""

    first: Floats
    between: Floats
    allowed: NDArray[np.bool_]
    begins: NDArray[np.bool_]
    is_free: bool


@lru_cache(maxsize=64)
def _steps(classes: tuple[str, ...]) -> _Steps:
    codes = codes_of(classes)
    between, first = codes.may_follow, codes.may_begin
    return _Steps(
        np.where(first, 0.0, _NEVER),
        np.where(between, 0.0, _NEVER),
        between,
        first,
        bool(between.all() and first.all()),
    )


def decode(classes: tuple[str, ...], scores: NDArray[Any]) -> NDArray[np.object_]:
    """Return the tags of each row, objects of int64 arrays of shape (tokens,): consistent, and the most probable.

    Parameters
    ----------
    classes
        What each column of the scores is called, in IOB2.
    scores
        Objects of shape (n,), each float64 of shape (tokens, classes): probabilities.

    Examples
    --------
    >>> rows = parted(np.array([[0.3, 0.3, 0.4], [0.1, 0.2, 0.7]]), np.array([2]))
    >>> decode(("O", "B-loc", "I-loc"), rows)[0].tolist()
    [1, 2]
    """
    steps = _steps(classes)
    if not len(scores):
        return np.empty(0, dtype=object)
    every, lengths = flattened(scores)
    tags: Ints = every.argmax(axis=1).astype(np.int64) if len(every) else np.empty(0, np.int64)
    rows = parted(tags, lengths)
    if not steps.is_free:
        odd = _inconsistent(tags, lengths, steps)
        for some in batches(lengths[odd]):
            found = viterbi([scores[odd[i]] for i in some.tolist()], steps.first, steps.between)
            for place, path in zip(some.tolist(), found, strict=True):
                rows[odd[place]] = path
    return rows


def _inconsistent(tags: Ints, lengths: Ints, steps: _Steps) -> list[int]:
    """Return the rows in which a tag stands where it may not."""
    if not len(tags):
        return []
    odd = np.zeros(len(tags), dtype=bool)
    odd[1:] = ~steps.allowed[tags[:-1], tags[1:]]
    first = (np.cumsum(lengths) - lengths)[lengths > 0]
    odd[first] = ~steps.begins[tags[first]]
    row = np.repeat(np.arange(len(lengths)), lengths)
    return [int(place) for place in np.unique(row[odd])]


def outweighed(scores: Floats, lengths: Ints, outside: int, times: float) -> NDArray[np.object_]:
    """Return rows of scores in which one class counts so many times, and each token's sum to one again.

    Examples
    --------
    >>> outweighed(np.array([[0.8, 0.2]]), np.array([1]), 0, 0.25)[0].tolist()
    [[0.5, 0.5]]
    """
    weighed = scores.copy()
    weighed[:, outside] *= times
    return parted(weighed / weighed.sum(axis=1, keepdims=True), lengths)


def viterbi(several: Sequence[Floats], first: Floats, between: Floats) -> list[Ints]:
    """Return the best path through each of some rows, which go through a step together.

    Parameters
    ----------
    several
        Probabilities of each row, shape (tokens, classes); at least one token.
    first, between
        What is added to logarithms for the first tag, shape (classes,), and from a tag to the next, shape (classes,
        classes).
    """
    lengths = np.array([len(scores) for scores in several])
    classes, longest = len(first), int(lengths.max(initial=1))
    logs = np.zeros((len(several), longest, classes))
    for row, scores in enumerate(several):
        logs[row, : len(scores)] = np.log(np.maximum(scores, FAINT))
    same = np.arange(classes)
    best, back = logs[:, 0] + first, np.empty(logs.shape, dtype=np.int64)
    for place in range(1, longest):
        reached = best[:, :, None] + between
        live = (place < lengths)[:, None]
        back[:, place] = np.where(live, reached.argmax(axis=1), same)  # behind its end a path stays as it is
        best = np.where(live, reached.max(axis=1) + logs[:, place], best)
    paths = np.empty(logs.shape[:2], dtype=np.int64)
    paths[:, -1] = best.argmax(axis=1)
    for place in range(longest - 1, 0, -1):
        paths[:, place - 1] = np.take_along_axis(back[:, place], paths[:, place, None], axis=1)[:, 0]
    return [path[:length] for path, length in zip(paths, lengths.tolist(), strict=True)]
