"""Units of weights, which of them are tied, and how a node is shown to the rule of its operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FROZEN = 0
"""The unit that every one is tied to which has to stay."""

Units = NDArray[np.int64]
Axes = tuple[Units | None, ...]
"""The units along each axis of a value; ``None`` for an axis that no weight gave (rows, tokens, places)."""


@dataclass(slots=True)
class Ties:
    """Units, and which of them are tied."""

    _parents: list[int] = field(default_factory=lambda: [FROZEN])
    heads: set[int] = field(default_factory=set)
    """Units that stand for a whole head of attention."""

    def fresh(self, count: int) -> Units:
        """Return new units."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, unit: int) -> int:
        """Return the unit that stands for all those tied to one."""
        parents, found = self._parents, unit
        while parents[found] != found:
            parents[found] = parents[parents[found]]
            found = parents[found]
        return found

    def roots(self, units: Units) -> Units:
        """Return the unit that stands for each."""
        return np.array([self.root(unit) for unit in units.tolist()], np.int64)

    def tie(self, first: Units, second: Units) -> None:
        """Tie units pairwise."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            a, b = self.root(one), self.root(other)
            if a != b:
                low, high = min(a, b), max(a, b)
                self._parents[high] = low

    def freeze(self, *axes: Units | None) -> None:
        """Have units stay."""
        for units in axes:
            if units is not None:
                self.tie(units, np.full(len(units), FROZEN))


@dataclass(frozen=True, slots=True)
class Node:
    """A node under the rule of its operator: what its inputs and outputs look like.

    ``known`` holds inputs that are constants of the graph, ``shapes`` and ``made`` the shapes of inputs and outputs.
    """

    kind: str
    given: Mapping[str, Any]
    axes: Sequence[Axes]
    known: Sequence[NDArray[Any] | None]
    shapes: Sequence[tuple[int, ...]]
    made: Sequence[tuple[int, ...]]

    def plain(self, output: int = 0) -> Axes:
        """Return an output that no weight gave an axis of."""
        return (None,) * len(self.made[output])


def at_one(ties: Ties, there: Iterable[Units | None]) -> Units | None:
    """Tie units that stand for the same places; units beside an axis of none have to stay."""
    there = list(there)
    some = [units for units in there if units is not None]
    if len(some) < len(there) or not some:
        ties.freeze(*some)
        return None
    for other in some[1:]:
        ties.tie(some[0], other)
    return some[0]
