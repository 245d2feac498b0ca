"""CatBoost's tables of category statistics, read from the JSON of a model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.learners._ctrs import Combination, Ctrs, Hashes
from steelyard.learners._oblivious import Question, Questions

Json = Mapping[str, Any]

_EMPTY = 2**64 - 1
"""Hash of a place that holds nothing."""


def ctrs_of(statistics: Sequence[Json], tables: Json, *, hashes: Hashes, asks: Callable[[Json], Question]) -> Ctrs:
    """Gather some statistics of a model by the combination of columns that they are of.

    Parameters
    ----------
    statistics
        Entries of ``features_info.ctrs``.
    tables
        The model's ``ctr_data``.
    hashes
        CatBoost's hash of each category id.
    asks
        Tells what an element of a combination that is no category asks of the matrix.
    """
    of: dict[str, list[int]] = defaultdict(list)
    for place, statistic in enumerate(statistics):
        of[json.dumps(statistic["elements"])].append(place)
    questions: dict[Question, int] = {}
    combinations: list[Combination] = []
    owners = np.zeros(len(statistics), np.int64)
    values: dict[int, NDArray[np.float32]] = {}
    for number, (elements, places) in enumerate(of.items()):
        found = {place: _Table.read(tables[statistics[place]["identifier"]]) for place in places}
        keys = np.unique(np.concatenate([table.keys for table in found.values()]))
        values |= {place: table.values(statistics[place], keys) for place, table in found.items()}
        owners[places] = number
        parts = json.loads(elements)
        named = [part["combination_element"] == "cat_feature_value" for part in parts]
        asked = [asks(part) for part, category in zip(parts, named, strict=True) if not category]
        combinations.append(
            Combination(
                categories=tuple(p["cat_feature_index"] for p, category in zip(parts, named, strict=True) if category),
                questions=tuple(questions.setdefault(question, len(questions)) for question in asked),
                keys=keys,
            )
        )
    return Ctrs(
        hashes=hashes,
        questions=Questions.of(questions),
        combinations=tuple(combinations),
        owners=owners,
        values=tuple(values[place] for place in range(len(statistics))),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Counts of rows by key and class; a counter has one class, and the largest count as ``most``."""

    keys: Hashes
    counts: NDArray[np.float32]
    most: int

    @classmethod
    def read(cls, entry: Json) -> _Table:
        cells, stride = entry["hash_map"], entry["hash_stride"]
        keys = np.array([int(key) for key in cells[::stride]], np.uint64)
        counts = np.array([cells[place::stride] for place in range(1, stride)], np.float32).T
        held = keys != _EMPTY
        return cls(keys[held], counts[held], entry["counter_denominator"])

    def values(self, statistic: Json, keys: Hashes) -> NDArray[np.float32]:
        """Return one statistic of an unknown key, then of each of ``keys``, as CatBoost works it out in float32."""
        counts = np.zeros((1 + len(keys), self.counts.shape[1]), np.float32)
        counts[1 + np.searchsorted(keys, self.keys)] = self.counts
        match statistic["ctr_type"]:
            case "Borders":
                some, whole = counts[:, statistic["target_border_idx"] + 1 :].sum(axis=1), counts.sum(axis=1)
            case "Counter":
                some, whole = counts[:, 0], np.full(len(counts), self.most, np.float32)
            case other:
                raise NotImplementedError(f"CatBoost's statistic {other!r} has no form here: leave `simple_ctr` alone")
        prior, doubt = np.float32(statistic["prior_numerator"]), np.float32(statistic["prior_denomerator"])
        shift, scale = np.float32(statistic["shift"]), np.float32(statistic["scale"])
        return np.asarray(((some + prior) / (whole + doubt) + shift) * scale, np.float32)
