"""The trained form of every linear model: weighted sums of blocks, then the link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import Artefact, Columns, Floats, Problem, Task
from steelyard.learners._block import project
from steelyard.learners._graph import Graph
from steelyard.learners._head import probabilities, seal
from steelyard.learners._prelude import Prelude
from steelyard.learners._solve import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSums:
    """A linear model on the blocks of a prelude."""

    prelude: Prelude
    weights: Weights
    task: Task
    threads: int
    rounds: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether the deadline ended the training before its time."""
        return self.weights.late

    def scores(self, columns: Columns) -> Floats:
        """Return scores in double, from the same features."""
        sums = np.tile(self.weights.offsets, (_length(columns), 1))
        parts = self.prelude.run(columns, threads=self.threads)
        for part, slopes in zip(parts, self._slices([part.shape[1] for part in parts]), strict=True):
            sums += part @ slopes
        return sums if self.task.problem is Problem.REGRESSION else probabilities(sums)

    def export(self) -> Artefact:
        """Return prelude, sums and link as one graph."""
        graph = Graph()
        made = self.prelude.build(graph)
        slices = self._slices([item.width for item in made])
        sums = [project(graph, item, slopes) for item, slopes in zip(made, slices, strict=True)]
        offsets = graph.constant(self.weights.offsets.astype(np.float32))
        total = graph.add("Sum", *sums, offsets)
        return Artefact(seal(graph, total, self.task), self.prelude.feeds, self.prelude.files)

    def _slices(self, widths: list[int]) -> Iterator[Floats]:
        ends = np.cumsum(widths)
        return iter(np.split(self.weights.slopes, ends[:-1]))


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))
