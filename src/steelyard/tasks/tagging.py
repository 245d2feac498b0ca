"""Tagging: entities found whole, and tokens tagged rightly; every figure is a ratio of sums over rows.

Precision, recall and F1 of entities are those of seqeval [1]_ in its default mode, averaged over all entities
(micro): one counts as found where first token, last token and type are right. Where seqeval writes 0 for a precision
without any predicted entity, it is undefined (NaN) here; F1 is 0 in either.

References
----------
.. [1] Nakayama. seqeval: a Python framework for sequence labeling evaluation. 2018, github.com/chakki-works/seqeval.
.. [2] Tjong Kim Sang, De Meulder. Introduction to the CoNLL-2003 shared task. CoNLL 2003.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.contracts.ragged import flattened
from steelyard.tasks.metric import Rows
from steelyard.tasks.spans import Codes, codes_of, entities_in
from steelyard.tasks.sums import ratio


@dataclass(frozen=True, slots=True)
class Tally:
    """Entities of each row by type, shape (n, types): those found rightly, those predicted, those that are there."""

    hits: Floats
    called: Floats
    true: Floats


def tally(classes: tuple[str, ...], target: NDArray[np.object_], decided: NDArray[np.object_]) -> Tally:
    """Count the entities of rows of coded tags.

    Examples
    --------
    >>> from steelyard.contracts.ragged import parted
    >>> one, other = (parted(np.array(tags), np.array([3])) for tags in ([1, 2, 0], [1, 0, 1]))
    >>> found = tally(("O", "B-loc", "I-loc"), one, other)
    >>> found.hits.tolist(), found.called.tolist(), found.true.tolist()
    ([[0.0]], [[2.0]], [[1.0]])
    """
    codes = codes_of(classes)
    truth, lengths = flattened(target)
    own, _ = flattened(decided)
    truth, own = truth.astype(np.int64), own.astype(np.int64)
    there, said = entities_in(truth, lengths, codes), entities_in(own, lengths, codes)
    ends, kinds = np.full(len(truth), -1, np.int64), np.full(len(truth), -1, np.int64)
    ends[there.starts], kinds[there.starts] = there.ends, there.kinds
    right = (ends[said.starts] == said.ends) & (kinds[said.starts] == said.kinds)
    row = np.repeat(np.arange(len(lengths)), lengths)
    return Tally(
        _counted(row[said.starts[right]], said.kinds[right], len(lengths), codes),
        _counted(row[said.starts], said.kinds, len(lengths), codes),
        _counted(row[there.starts], there.kinds, len(lengths), codes),
    )


def _counted(rows: Ints, kinds: Ints, count: int, codes: Codes) -> Floats:
    width = max(1, len(codes.kinds))
    return np.bincount(rows * width + kinds, minlength=count * width).reshape(count, width).astype(np.float64)


def _sums(rows: Rows, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Return weighted numbers of entities found rightly, predicted and there, of all types: each of shape (B,)."""
    found = tally(rows.task.classes, rows.target, rows.answer.decided)
    hits, called, true = (counts @ part.sum(axis=1) for part in (found.hits, found.called, found.true))
    return hits, called, true


def entity_precision(rows: Rows, counts: Floats) -> Floats:
    """Return the share of predicted entities that are there; undefined where none is predicted."""
    hits, called, _ = _sums(rows, counts)
    return ratio(hits, called)


def entity_recall(rows: Rows, counts: Floats) -> Floats:
    """Return the share of the entities that is found; undefined where there is none."""
    hits, _, true = _sums(rows, counts)
    return ratio(hits, true)


def entity_f1(rows: Rows, counts: Floats) -> Floats:
    """Return the harmonic mean of precision and recall of entities; undefined where there is none on either side."""
    hits, called, true = _sums(rows, counts)
    return ratio(2 * hits, called + true)


def token_accuracy(rows: Rows, counts: Floats) -> Floats:
    """Return the share of tokens whose tag is right; undefined where there is no token."""
    right, tokens = token_hits(rows.target, rows.answer.decided)
    return ratio(counts @ right, counts @ tokens)


def token_hits(target: NDArray[np.object_], decided: NDArray[np.object_]) -> tuple[Floats, Floats]:
    """Return by row how many tokens are tagged rightly, and how many there are."""
    truth, lengths = flattened(target)
    own, _ = flattened(decided)
    row = np.repeat(np.arange(len(lengths)), lengths)
    right: Floats = np.bincount(row, weights=np.asarray(truth == own, np.float64), minlength=len(lengths)).astype(
        np.float64
    )
    return right, lengths.astype(np.float64)
