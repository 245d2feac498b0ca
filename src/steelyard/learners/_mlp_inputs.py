"""What the net for tables reads: numbers on one scale, flags of missing ones, and a code a category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Feed, Ints, Kind, Meter, Split, Work
from steelyard.learners._block import Block, Dense
from steelyard.learners._categories import Codes, frequent
from steelyard.learners._directions import directions
from steelyard.learners._features import feature_blocks
from steelyard.learners._graph import Graph
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import Matrix, Prelude
from steelyard.learners._table import names_of, prelude_of
from steelyard.recipe import Plan, Settings

MOST_VALUES = 10_000
"""Most values of one category that get a code."""
FAR = 3.0
"""Widths of the middle half from the median at which the net stops telling numbers apart: Holzmueller et al.,
"Better by default: strong pre-tuned MLPs and boosted trees on tabular data" (2024)."""
TINY = 1e-30
"""Least width of a middle half that float32 can divide by."""

Numerals = NDArray[np.float32]
Cells = tuple[Numerals, Ints]
"""Numbers, shape (n, columns), and codes, shape (n, columns of categories)."""


@dataclass(frozen=True, slots=True)
class Level:
    """One scale for every number, whatever its unit: 0 is the median, 1 is :data:`FAR` widths of the middle half off.

    Missing numbers are the median, and a flag for each of the ``gaps``, the columns where training met some.
    """

    shift: Numerals
    scale: Numerals
    gaps: Ints

    @classmethod
    def of(cls, matrix: Numerals) -> Level:
        """Learn it from training rows; where the middle half is all one value, the range stands for its width.

        Examples
        --------
        >>> level = Level.of(np.array([[0], [1], [2], [3], [np.nan]], np.float32))
        >>> level.shift.tolist(), level.apply(np.array([[6], [np.nan]], np.float32)).tolist()
        ([1.5], [[1.0, 0.0], [0.0, 1.0]])
        """
        middle = np.array([_middle(column[np.isfinite(column)]) for column in matrix.T]).reshape(-1, 2)
        shift, scale = middle.T.astype(np.float32)
        gaps = np.flatnonzero(np.isnan(matrix).any(axis=0))
        return cls(shift, scale, gaps)

    @property
    def width(self) -> int:
        """Columns that come of it."""
        return len(self.shift) + len(self.gaps)

    def apply(self, matrix: Numerals) -> Numerals:
        """Return shape (n, width)."""
        near = (matrix - self.shift) * self.scale
        holes = np.isnan(near)
        return np.concatenate([np.where(holes, np.float32(0), near), holes[:, self.gaps]], axis=1, dtype=np.float32)

    def build(self, graph: Graph, matrix: str) -> str:
        """Add the same as nodes."""
        near = graph.add("Mul", graph.add("Sub", matrix, graph.constant(self.shift)), graph.constant(self.scale))
        if not len(self.gaps):  # columns that never had a gap in training are filled before they come here
            return near
        holes = graph.add("IsNaN", near)
        filled = graph.add("Where", holes, graph.constant(np.zeros((1, 1), np.float32)), near)
        marks = graph.add("Cast", graph.add("Gather", holes, graph.constant(self.gaps), axis=1), to=TensorProto.FLOAT)
        return graph.add("Concat", filled, marks, axis=1)


def _middle(cells: Numerals) -> tuple[float, float]:
    """Return shift and scale of a column's known numbers."""
    if len(cells) == 0:
        return 0.0, 1.0
    lowest, low, median, high, highest = np.quantile(cells.astype(np.float64), [0, 0.25, 0.5, 0.75, 1])
    width = high - low if high > low else (highest - lowest) / 2
    return float(median), float(1 / (FAR * (width if width > TINY else 1.0)))


@dataclass(frozen=True, slots=True)
class Inputs:
    """The fitted prelude, the level of its numbers, and how many codes each column of categories has."""

    prelude: Prelude
    level: Level
    codes: tuple[int, ...]
    """Its known values and one more, for what is rare, unseen, or missing where that is rare."""

    @classmethod
    @phase(Phase.PREPARING)
    def fit(cls, plan: Plan, train: Split, settings: Settings, work: Work, meter: Meter) -> tuple[Inputs, Cells]:
        """Learn from training rows; return also what the net may see of them, as :meth:`run` would."""
        blocks: list[Block] = []
        if numbers := names_of(work.schema, Kind.NUMBER, Kind.TIME):
            blocks.append(Numbers.fit(train.columns, numbers, standard=False))
        blocks += feature_blocks(plan, train, work, meter, standard=False)
        blocks += directions(train, settings, work, meter)
        codes: tuple[int, ...] = ()
        if categories := names_of(work.schema, Kind.CATEGORY):
            least = int(settings.number("category_min_count", 2))
            values = frequent(train.columns, categories, least=least, most=MOST_VALUES)
            if any(values):
                blocks.append(Codes(categories, values, np.array([len(known) for known in values], np.float64)))
                codes = tuple(len(known) + 1 for known in values)
        prelude = prelude_of("mlp", tuple(blocks))
        matrix, ids = _parted(prelude.train(train, threads=work.threads), coded=bool(codes))
        level = Level.of(matrix)
        return cls(prelude, level, codes), (level.apply(matrix), ids)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph inputs."""
        return self.prelude.feeds

    @property
    def files(self) -> Mapping[str, bytes]:
        """What the feeds read."""
        return self.prelude.files

    @phase(Phase.PREPARING)
    def run(self, columns: Columns, *, threads: int) -> Cells:
        """Return numbers, shape (n, columns), and codes, shape (n, columns of categories)."""
        matrix, codes = _parted(self.prelude.run(columns, threads=threads), coded=bool(self.codes))
        return self.level.apply(matrix), codes

    def build(self, graph: Graph) -> tuple[str | None, str | None]:
        """Add the nodes; return the tensors of numbers and of codes, each ``None`` where there are none."""
        made = [item.tensor for item in self.prelude.build(graph) if isinstance(item, Dense)]
        codes = made.pop() if self.codes else None
        if not made:
            return None, codes
        return self.level.build(graph, graph.add("Concat", *made, axis=1) if len(made) > 1 else made[0]), codes


def _parted(parts: tuple[Matrix, ...], *, coded: bool) -> Cells:
    """Return the numbers of all blocks side by side, and the codes, which the last block made if any did."""
    n = len(parts[0])
    numbers = parts[:-1] if coded else parts
    codes = parts[-1].astype(np.int64) if coded else np.zeros((n, 0), np.int64)
    return np.concatenate([np.zeros((n, 0), np.float32), *numbers], axis=1), codes
