"""What a net reads of a table: the feeds of its graph, and batches of tensors made by the very same front ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Columns, Feed, Ints

if TYPE_CHECKING:
    from torch import Tensor


class Material(Protocol):
    """Rows, made ready once, from which batches are taken many times."""

    @property
    def lengths(self) -> Ints | None:
        """Tokens or steps of each row, by which rows of like length share a batch; ``None`` where all are alike."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return the inputs of the graph by name for some rows, padded to the longest of them.

        The tensors are on the CPU, and new ones: whoever takes a batch may change it.
        """
        ...


class Reading(Protocol):
    """How columns become the inputs of a net: fitted on training rows, the same in training and in a bundle."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph's inputs in a bundle."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """What the feeds read: a vocabulary, a tokenizer."""
        ...

    def material(self, columns: Columns) -> Material:
        """Return some rows, ready to be taken in batches."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Material whose rows are all of one shape: arrays by the name of the graph's input, the first axis over rows."""

    arrays: Mapping[str, NDArray[Any]]
    lengths: Ints | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return copies of some rows."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        return {name: torch.from_numpy(array[rows]) for name, array in self.arrays.items()}


@dataclass(frozen=True, slots=True)
class PlainReading:
    """A reading that is nothing but its front ends, of inputs whose rows are all of one shape (images, tables)."""

    feeds: tuple[Feed, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def material(self, columns: Columns) -> Held:
        """Return the tensors that the front ends of a bundle make of some rows."""
        arrays: dict[str, NDArray[Any]] = {}
        for feed in self.feeds:
            arrays.update(FRONT_ENDS[feed.front_end](feed, self.files)(columns))
        return Held({name: np.ascontiguousarray(array) for name, array in arrays.items()})
