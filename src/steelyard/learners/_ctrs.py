"""Categories, and combinations of them, as statistics of the target: CatBoost's CTRs in ONNX.

Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features" (2018). A trained model holds a table a
combination: the hash of its values, and how many rows of each class had them. CatBoost's hash of values
e1, ..., ek is M (h + M e) repeated from h = 0, all modulo 2^64, so it is linear in them: one integer product gives
the keys of all combinations, and one look-up their rows. Nothing is approximated, and unseen values and combinations
get what CatBoost gives them, the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import Ints
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph
from steelyard.learners._oblivious import Questions

Hashes = NDArray[np.uint64]

_STEP = 0x4906BA494954CB65
"""M above, CatBoost's constant."""
_APART = 0x9E3779B97F4A7C15
"""What the keys of one combination are shifted by against those of the next, as they share one look-up."""
_SPAN = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """What a table is keyed by: its parts in order, first places of categories, then places of questions."""

    categories: tuple[int, ...]
    questions: tuple[int, ...]
    keys: Hashes

    def factors(self, columns: int, questions: int) -> Hashes:
        """Return the weight of each part in the key, shape (columns + questions,)."""
        parts = [*self.categories, *(columns + question for question in self.questions)]
        weights = np.zeros(columns + questions, np.uint64)
        for turn, part in enumerate(parts):
            weights[part] = pow(_STEP, len(parts) - turn + 1, _SPAN)
        return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Ctrs:
    """The statistics that a model reads.

    ``hashes`` are CatBoost's of each category id. ``questions`` are what combinations ask of a matrix beside their
    categories. Statistic s belongs to combination ``owners[s]``: ``values[s][0]`` is what an unknown key has,
    ``values[s][1 + k]`` what its key k has.
    """

    hashes: Hashes
    questions: Questions
    combinations: tuple[Combination, ...]
    owners: Ints
    values: tuple[NDArray[np.float32], ...]

    def build(self, graph: Graph, ids: Dense, matrix: str) -> Dense:
        """Add the statistics, float32 (n, statistics), from float category ids and the matrix that is asked."""
        places = graph.add("Cast", ids.tensor, to=TensorProto.INT32)
        parts = graph.add("Gather", graph.constant(self.hashes), places, axis=0)
        if len(self.questions):
            answers = self.questions.answers(graph, matrix, to=TensorProto.UINT64)
            parts = graph.add("Concat", parts, graph.add("Transpose", answers, perm=[1, 0]), axis=1)
        factors = [one.factors(ids.width, len(self.questions)) for one in self.combinations]
        shifts = np.arange(len(self.combinations), dtype=np.uint64) * np.uint64(_APART)
        # Unsigned, because there ONNX defines what overflows; look-ups take signed keys, which a cast does not change.
        keys = graph.add("MatMul", parts, graph.constant(np.stack(factors, axis=1)))
        keys = graph.add("Cast", graph.add("Add", keys, graph.constant(shifts)), to=TensorProto.INT64)
        known = [one.keys + shift for one, shift in zip(self.combinations, shifts, strict=True)]
        rows = graph.add(
            "LabelEncoder",
            keys,
            keys_int64s=np.concatenate(known).view(np.int64).tolist(),
            values_int64s=np.concatenate([np.arange(1, 1 + len(some)) for some in known]).tolist(),
            default_int64=0,
        )
        rows = graph.add("Gather", rows, graph.constant(self.owners), axis=1)
        starts = np.cumsum([0, *(len(column) for column in self.values[:-1])])
        rows = graph.add("Add", rows, graph.constant(starts))
        found = graph.add("Gather", graph.constant(np.concatenate(self.values)), rows, axis=0)
        return Dense(found, len(self.values))


def names(count: int) -> NDArray[np.object_]:
    """Return the name that CatBoost knows each category id by: 8 digits, as bytes."""
    return np.array([b"%08d" % number for number in range(count)], np.object_)


def hashes(known: NDArray[np.object_]) -> Hashes:
    """Return CatBoost's hashes of names of 8 bytes: CityHash64 (Pike and Alakuijala, 2011), its lower half.

    CatBoost reads that half as a signed number, so the upper half repeats its first bit.
    """
    first, last = np.frombuffer(b"".join(known), "<u4").reshape(-1, 2).T.astype(np.uint64)
    scale, fold = np.uint64(0x9DDFEA08EB382D69), np.uint64(47)
    mixed = ((np.uint64(8) + (first << np.uint64(3))) ^ last) * scale
    mixed = (last ^ mixed ^ (mixed >> fold)) * scale
    mixed = (mixed ^ (mixed >> fold)) * scale
    return np.asarray(mixed.astype(np.uint32).view(np.int32).astype(np.int64).view(np.uint64))
