"""What CatBoost sees of a table: numbers as they are, and ids of categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Ints, Kind, Meter, Split, Work
from steelyard.learners._block import Dense, side_by_side
from steelyard.learners._categories import Places
from steelyard.learners._graph import Graph
from steelyard.learners._prelude import Matrix, Prelude
from steelyard.learners._table import names_of, prelude_of
from steelyard.learners._tree_blocks import tree_blocks
from steelyard.recipe import Plan, Settings

MOST_VALUES = 100_000
"""Most values of one category that are told apart."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Numbers, float32 of shape (n, numbers), and category ids from 0 to ``known``, of shape (n, categories)."""

    numbers: NDArray[np.float32]
    ids: Ints
    known: int

    @property
    def varied(self) -> bool:
        """Whether any column has two values: without one there is nothing to split on."""
        return any(len(np.unique(column)) > 1 for column in (*self.numbers.T, *self.ids.T))


@dataclass(frozen=True, slots=True)
class Sight:
    """Blocks of numbers, and at most one of category ids."""

    prelude: Prelude
    threads: int

    @classmethod
    @phase(Phase.PREPARING)
    def fit(cls, plan: Plan, settings: Settings, train: Split, work: Work, meter: Meter) -> Sight:
        """Learn medians, values, derived features and directions of text."""
        names, least = names_of(work.schema, Kind.CATEGORY), int(settings.number("category_min_count", 1))
        places = Places.fit(train.columns, names, least=least, most=MOST_VALUES)
        blocks = tree_blocks(plan, settings, train, work, meter, categories=places if places.ids.width else None)
        return cls(prelude_of("catboost", blocks), work.threads)

    @property
    def known(self) -> int:
        """Number of category ids, all columns together; what is unknown has this one."""
        return sum(block.ids.width for block in self.prelude.blocks if isinstance(block, Places))

    @phase(Phase.PREPARING)
    def train(self, train: Split) -> Cells:
        """Return the cells of the rows that the blocks were fitted on."""
        return self._cells(self.prelude.train(train, threads=self.threads))

    @phase(Phase.PREPARING)
    def cells(self, columns: Columns) -> Cells:
        """Return the cells of any other rows."""
        return self._cells(self.prelude.run(columns, threads=self.threads))

    def _cells(self, parts: tuple[Matrix, ...]) -> Cells:
        named = [isinstance(block, Places) for block in self.prelude.blocks]
        numbers = [part for part, category in zip(parts, named, strict=True) if not category]
        ids = [part.astype(np.int64) for part, category in zip(parts, named, strict=True) if category]
        rows = len(parts[0])
        return Cells(
            np.hstack([np.zeros((rows, 0), np.float32), *numbers]),
            np.hstack([np.zeros((rows, 0), int), *ids]),
            self.known,
        )

    def build(self, graph: Graph) -> tuple[Dense | None, Dense | None]:
        """Add the blocks, and return numbers and category ids, each if there are any."""
        made = list(zip(self.prelude.blocks, self.prelude.build(graph), strict=True))
        dense = [(block, item) for block, item in made if isinstance(item, Dense)]
        ids = next((item for block, item in dense if isinstance(block, Places)), None)
        numbers = [item for block, item in dense if not isinstance(block, Places)]
        if not numbers:
            return None, ids
        return Dense(side_by_side(graph, numbers), sum(item.width for item in numbers)), ids
