"""Numbers and times as one float64 tensor; the graph shifts, scales and casts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from steelyard.bundle.front_ends.base import Cells, Tensors, options_of, picker, shape_of, stack
from steelyard.contracts import Columns, Feed, Kind


@dataclass(frozen=True, slots=True)
class Numbers:
    """float64, shape (n, columns); NaN where missing, times in epoch seconds."""

    input: str
    columns: tuple[str, ...]
    pick: Callable[[Cells], tuple[Any, ...]]

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMBER, Kind.TIME})
    batch: ClassVar[int] = 8192

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Numbers:
        """Return the extractor; takes no options."""
        del files
        shape_of(feed, inputs=1, columns=None)
        options_of(feed, {})
        return cls(feed.inputs[0], feed.columns, picker(feed.columns))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows."""
        return {self.input: stack(columns, self.columns, np.float64)}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: np.array(self.pick(cells), np.float64)[None]}
