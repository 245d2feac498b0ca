"""A few numbers for each value of a category, such as how often it occurs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.contracts import Columns, Feed, Floats, Ints
from steelyard.learners._block import Dense
from steelyard.learners._categories import Values
from steelyard.learners._graph import Graph, table


@dataclass(frozen=True, slots=True)
class Lookup:
    """Numbers of the values of some category columns, side by side; zeros for a value that has none.

    ``numbers`` has shape (values of all columns, k); ``tag`` names the input. Values are those of
    :func:`steelyard.learners._categories.frequent`: missing is ``""``.
    """

    tag: str
    columns: tuple[str, ...]
    values: Values
    numbers: Floats

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of strings."""
        return (Feed("strings", (self.tag,), self.columns),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: one look-up for all columns, then their numbers."""
        count, width = len(self.columns), self.numbers.shape[1]
        cells = graph.input(self.tag, TensorProto.STRING, ["n", count])
        prefixes = np.array([[f"{place}:" for place in range(count)]], np.object_)
        keys = [f"{place}:{value}" for place, values in enumerate(self.values) for value in values]
        ids = graph.add(
            "LabelEncoder",
            graph.add("StringConcat", graph.constant(prefixes), cells),
            keys_strings=keys,
            values_int64s=list(range(len(keys))),
            default_int64=len(keys),
        )
        found = graph.add("Gather", graph.constant(table(self.numbers)), ids, axis=0)
        shape = graph.constant(np.array([-1, count * width], np.int64))
        return Dense(graph.add("Reshape", found, shape), count * width)


def ids_of(columns: Columns, names: tuple[str, ...], values: Values) -> Ints:
    """Return the id of each cell among the values of all columns, shape (n, columns); their number for the others."""
    total, first, ids = sum(map(len, values)), 0, []
    for name, known in zip(names, values, strict=True):
        places = {value: first + place for place, value in enumerate(known)}
        ids.append([places.get(value or "", total) for value in columns[name]])
        first += len(known)
    return np.array(ids, np.int64).T


def counts(columns: Columns, names: tuple[str, ...], values: Values) -> Lookup:
    """Return how many training rows hold a value, as a share of the way from none to all in logarithms."""
    rows = len(next(iter(columns.values())))
    ids = ids_of(columns, names, values)
    found = np.bincount(ids.ravel(), minlength=sum(map(len, values)) + 1)[:-1]
    return Lookup("counted", names, values, (np.log1p(found) / np.log1p(rows)).reshape(-1, 1))
