"""Categories as one string tensor; the graph maps them to numbers, unseen ones included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from steelyard.bundle.front_ends.base import Cells, Tensors, options_of, picker, shape_of, stack
from steelyard.contracts import Columns, Feed, Kind


@dataclass(frozen=True, slots=True)
class Strings:
    """Objects of ``str``, shape (n, columns); a missing category is ``""``."""

    input: str
    columns: tuple[str, ...]
    pick: Callable[[Cells], tuple[Any, ...]]

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CATEGORY})
    batch: ClassVar[int] = 8192

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Strings:
        """Return the extractor; takes no options."""
        del files
        shape_of(feed, inputs=1, columns=None)
        options_of(feed, {})
        return cls(feed.inputs[0], feed.columns, picker(feed.columns))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows."""
        table = stack(columns, self.columns, np.object_)
        missing = table == None  # noqa: E711 - cell by cell
        return {self.input: np.where(missing, "", table) if missing.any() else table}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: np.array([cell or "" for cell in self.pick(cells)], np.object_)[None]}
