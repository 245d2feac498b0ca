"""Categories as ids, for models with a weight a category, or as ordered codes, for models that split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import Columns, Feed, Floats
from steelyard.learners._block import Dense, Sparse
from steelyard.learners._graph import Graph

Values = tuple[tuple[str, ...], ...]
"""The values that are told apart, column by column."""


def frequent(columns: Columns, names: tuple[str, ...], *, least: int, most: int) -> Values:
    """Return each column's values that stand in at least ``least`` rows, the ``most`` most frequent, in order.

    Missing cells count as the value ``""``. The order is that of people: numbers by size, then words by alphabet.

    Examples
    --------
    >>> import numpy as np
    >>> frequent({"size": np.array(["10", "9", "10", "9", None, "xl"], object)}, ("size",), least=2, most=9)
    (('9', '10'),)
    """
    kept = []
    for name in names:
        counts = Counter(value or "" for value in columns[name])
        known = [(value, count) for value, count in counts.items() if count >= least]
        known.sort(key=lambda pair: (-pair[1], pair[0]))
        kept.append(tuple(sorted((value for value, _ in known[:most]), key=_natural)))
    return tuple(kept)


def _natural(value: str) -> tuple[int, float, str]:
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)


@dataclass(frozen=True, slots=True)
class Strings:
    """The category columns as strings that begin with the number of their column, so that one table serves all."""

    columns: tuple[str, ...]

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of strings."""
        return (Feed("strings", ("categories",), self.columns),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def prefixed(self, graph: Graph) -> str:
        """Add the input and the node that tells the columns apart."""
        cells = graph.input("categories", TensorProto.STRING, ["n", len(self.columns)])
        prefixes = np.array([[f"{place}:" for place in range(len(self.columns))]], np.object_)
        return graph.add("StringConcat", graph.constant(prefixes), cells)


@dataclass(frozen=True, slots=True)
class Ids(Strings):
    """One id a column and value, counted through all columns; what is rare or unseen has no id."""

    values: Values

    @property
    def width(self) -> int:
        """Number of ids."""
        return sum(map(len, self.values))

    @property
    def keys(self) -> list[str]:
        """Every value, prefixed, in the order of the ids."""
        return [f"{place}:{value}" for place, values in enumerate(self.values) for value in values]

    def build(self, graph: Graph) -> Sparse:
        """Add the nodes: one look-up for all columns."""
        ids = graph.add(
            "LabelEncoder",
            self.prefixed(graph),
            keys_strings=self.keys,
            values_int64s=list(range(self.width)),
            default_int64=self.width,
        )
        return Sparse(ids, None, self.width)


@dataclass(frozen=True, slots=True)
class Places(Strings):
    """The ids of :class:`Ids` side by side, one float a column, for models that look categories up by themselves.

    What is rare or unseen has the id after the last, in every column.
    """

    ids: Ids

    @classmethod
    def fit(cls, columns: Columns, names: tuple[str, ...], *, least: int, most: int) -> Places:
        """Learn the values."""
        return cls(names, Ids(names, frequent(columns, names, least=least, most=most)))

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: one look-up for all columns."""
        ids = graph.add(
            "LabelEncoder",
            self.prefixed(graph),
            keys_strings=self.ids.keys,
            values_floats=[float(place) for place in range(self.ids.width)],
            default_float=float(self.ids.width),
        )
        return Dense(ids, len(self.columns))


@dataclass(frozen=True, slots=True)
class Codes(Strings):
    """A float code a column: the place of the value in its column's order; NaN where missing, rare or unseen.

    In columns where training saw no NaN nothing was learnt about it, and it becomes ``fill``, the code of the
    most frequent value.
    """

    values: Values
    fill: Floats

    @classmethod
    def fit(cls, columns: Columns, names: tuple[str, ...], *, least: int, most: int) -> Codes:
        """Learn the order of the values, and which columns are never without one."""
        values = tuple(
            tuple(value for value in known if value) for known in frequent(columns, names, least=least, most=most)
        )
        fill = [_usual(columns[name], known) for name, known in zip(names, values, strict=True)]
        return cls(names, values, np.array(fill))

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: one look-up for all columns, then the fill."""
        keys = [
            (f"{column}:{value}", code) for column, known in enumerate(self.values) for code, value in enumerate(known)
        ]
        codes = graph.add(
            "LabelEncoder",
            self.prefixed(graph),
            keys_strings=[key for key, _ in keys],
            values_floats=[float(code) for _, code in keys],
            default_float=float("nan"),
        )
        if not np.all(np.isnan(self.fill)):
            fill = graph.constant(self.fill.astype(np.float32))
            codes = graph.add("Where", graph.add("IsNaN", codes), fill, codes)
        return Dense(codes, len(self.columns))


def _usual(column: NDArray[np.object_], known: tuple[str, ...]) -> float:
    """Return the code of the most frequent value if every cell has one, else NaN."""
    places = {value: code for code, value in enumerate(known)}
    codes = [places.get(value, -1) for value in column]
    return float(np.bincount(codes).argmax()) if codes and min(codes) >= 0 else float("nan")
