"""A trained CatBoost model, read from its own JSON, as the parts of an ONNX graph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from onnx import TensorProto

from steelyard.contracts import Floats
from steelyard.learners._block import Dense, side_by_side
from steelyard.learners._ctr_tables import Json, ctrs_of
from steelyard.learners._ctrs import Ctrs, Hashes
from steelyard.learners._graph import Graph
from steelyard.learners._oblivious import Oblivious, Question, Questions

_LOW = 0xFFFFFFFF
"""The half of a hash that a model's JSON names a category by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Trees on numbers, then indicators of categories with few values, then statistics of categories."""

    indicators: tuple[tuple[int, int], ...]
    """Column and id of each category that is asked for by itself."""
    ctrs: Ctrs | None
    trees: Oblivious
    bias: Floats

    @classmethod
    def constant(cls, sums: Floats) -> Model:
        """Return a model that says the same of every row."""
        trees = Oblivious.of(Questions.of(()), [()], [np.zeros((1, len(sums)))])
        return cls(indicators=(), ctrs=None, trees=trees, bias=sums)

    def build(self, graph: Graph, numbers: Dense | None, ids: Dense | None) -> str:
        """Add the sums, float32 (n, sums), of numbers and of float category ids."""
        parts = [numbers] if numbers else []
        if ids and self.indicators:
            parts.append(self._indicated(graph, ids))
        if ids and self.ctrs:
            parts.append(self.ctrs.build(graph, ids, side_by_side(graph, parts or [ids])))
        matrix = side_by_side(graph, parts or [part for part in (ids,) if part])
        return graph.add("Add", self.trees.build(graph, matrix), graph.constant(self.bias.astype(np.float32)))

    def _indicated(self, graph: Graph, ids: Dense) -> Dense:
        columns, values = np.array(self.indicators).T
        cells = graph.add("Gather", ids.tensor, graph.constant(columns), axis=1)
        alike = graph.add("Equal", cells, graph.constant(values.astype(np.float32)))
        return Dense(graph.add("Cast", alike, to=TensorProto.FLOAT), len(self.indicators))


def read(text: str | bytes, *, rounds: int, numbers: int, hashes: Hashes) -> Model:
    """Read the first ``rounds`` trees from the JSON of a model that was trained on ``numbers`` numbers and categories.

    ``hashes`` are CatBoost's of each category id. CatBoost can cut a model off itself, but (1.2.10) fails where some
    trees have no split.
    """
    model = json.loads(text)
    features, trees = model["features_info"], model["oblivious_trees"][:rounds]
    ids = {value: place for place, value in enumerate((hashes & np.uint64(_LOW)).tolist())}
    indicators = [
        (column["feature_index"], ids[value & _LOW])
        for column in features.get("categorical_features") or ()
        for value in column.get("values") or ()
    ]
    base = numbers + len(indicators)
    every = list(_questions(features, numbers, base))
    splits = [[split["split_index"] for split in tree["splits"] or ()] for tree in trees]
    used = sorted({every[place][0] for place in chain.from_iterable(splits)} - set(range(base)))
    moved = dict(zip(used, range(base, base + len(used)), strict=True))

    def asks(element: Json) -> Question:
        """Return what an element of a combination, a number or one value of a category, asks of the matrix."""
        if element["combination_element"] == "float_feature":
            return element["float_feature_index"], element["border"]
        return numbers + indicators.index((element["cat_feature_index"], ids[element["value"] & _LOW])), 0.5

    entries = [features["ctrs"][column - base] for column in used]
    bias = np.array(model["scale_and_bias"][1], np.float64)
    return Model(
        indicators=tuple(indicators),
        ctrs=ctrs_of(entries, model["ctr_data"], hashes=hashes, asks=asks) if entries else None,
        trees=Oblivious.of(
            # Statistics that no kept tree asks about are left out, and the others moved up.
            Questions.of((moved.get(column, min(column, base)), border) for column, border in every),
            splits,
            [np.array(tree["leaf_values"], np.float64).reshape(-1, len(bias)) for tree in trees],
        ),
        bias=bias,
    )


def _questions(features: Json, numbers: int, base: int) -> Iterator[Question]:
    """Yield every question in the order in which splits number them, the statistics' columns from ``base`` on."""
    for number in features.get("float_features") or ():
        yield from ((number["feature_index"], border) for border in number["borders"] or ())
    yield from ((column, 0.5) for column in range(numbers, base))
    for place, statistic in enumerate(features.get("ctrs") or ()):
        yield from ((base + place, border) for border in statistic["borders"])
