"""Rows as the inputs of a finished graph: made by its own front ends, ready to be taken in batches many times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from steelyard.bundle.front_ends import FRONT_ENDS, Extractor
from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.bundle.running import session_of
from steelyard.clock import Phase, phase
from steelyard.contracts import Artefact, Columns, Feed, Ints
from steelyard.learners.nets.reading import Material

if TYPE_CHECKING:
    from torch import Tensor

MOST_BYTES = 2**29
"""Tensors of a front end that are kept in memory; where they are more, rows are made ready again for every batch."""

Arrays = dict[str, NDArray[Any]]


class Rows(Protocol):
    """Rows as arrays, by the name of the graph's input."""

    @property
    def lengths(self) -> Ints | None:
        """Tokens or steps of each row; ``None`` where all are alike."""
        ...

    def __len__(self) -> int: ...

    def arrays(self, rows: Ints) -> Arrays:
        """Return the inputs for some rows, padded to the longest of them."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of one shape, all of them in memory."""

    held: Mapping[str, NDArray[Any]]
    lengths: Ints | None = None

    def __len__(self) -> int:
        return len(next(iter(self.held.values())))

    def arrays(self, rows: Ints) -> Arrays:
        """Return copies of some rows."""
        return {name: array[rows] for name, array in self.held.items()}


@dataclass(frozen=True, slots=True)
class Made:
    """Rows of which a front end makes tensors batch by batch: they differ in length, or are too many to keep."""

    extract: Extractor
    columns: Columns
    lengths: Ints | None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def arrays(self, rows: Ints) -> Arrays:
        """Return the tensors of some rows."""
        return self.extract({name: cells[rows] for name, cells in self.columns.items()})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts that were cut into tokens once."""

    feed: Feed
    text: Ragged

    @property
    def lengths(self) -> Ints:
        """Tokens of each row."""
        return self.text.lengths

    def __len__(self) -> int:
        return len(self.text)

    def arrays(self, rows: Ints) -> Arrays:
        """Return ids, mask and, where they are asked for, types, int64 of shape (n, L)."""
        return dict(zip(self.feed.inputs, self.text.padded(rows, int(self.feed.options.get("pad", 0))), strict=False))


@dataclass(frozen=True, slots=True)
class Joint:
    """The same rows by several front ends."""

    parts: Sequence[Rows]

    @property
    def lengths(self) -> Ints | None:
        """Tokens and steps of each row, those of all front ends together."""
        known = [part.lengths for part in self.parts if part.lengths is not None]
        return np.sum(known, axis=0) if known else None

    def __len__(self) -> int:
        return len(self.parts[0])

    def arrays(self, rows: Ints) -> Arrays:
        """Return what all of them make of some rows."""
        return {name: array for part in self.parts for name, array in part.arrays(rows).items()}


@dataclass(frozen=True, slots=True)
class Fed:
    """Rows as PyTorch takes them; what stands before the weights is computed by ONNX Runtime where it must be.

    An instance of :class:`~steelyard.learners.nets.reading.Material`.
    """

    rows: Rows
    before: Any = field(default=None, repr=False)
    """A session of :func:`~steelyard.learners.nets.graph_net.prelude`."""

    @property
    def lengths(self) -> Ints | None:
        """Tokens and steps of each row."""
        return self.rows.lengths

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return what a :class:`~steelyard.learners.nets.graph_net.GraphNet` takes, for some rows."""
        import torch  # noqa: PLC0415 - describing a lever loads no PyTorch

        given = self.rows.arrays(rows)
        if self.before is not None:
            names = [value.name for value in self.before.get_outputs()]
            own = {value.name: given[value.name] for value in self.before.get_inputs()}
            given |= zip(names, self.before.run(names, own), strict=True)
        return {name: torch.from_numpy(np.array(a)) for name, a in given.items() if a.dtype.kind in "biuf"}


def material_of(artefact: Artefact, columns: Columns, *, threads: int = 1) -> Material:
    """Return rows as what a graph under training takes."""
    from steelyard.learners.nets.graph_net import prelude  # noqa: PLC0415 - describing a lever loads no PyTorch

    first = prelude(artefact.graph)
    return Fed(rows_of(artefact, columns), None if first is None else session_of(first, threads=threads))


@phase(Phase.PREPARING)
def rows_of(artefact: Artefact, columns: Columns) -> Rows:
    """Return rows as the inputs of a graph, ready once.

    Tokens are cut once and padded batch by batch; tensors of a fixed shape are kept where :data:`MOST_BYTES` hold them.

    Parameters
    ----------
    artefact
        Whose feeds say how.
    columns
        The rows; columns that no feed reads may be absent.
    """
    fixed = fixed_inputs(artefact.graph)
    parts = [_part(artefact, feed, columns, fixed=fixed.issuperset(feed.inputs)) for feed in artefact.feeds]
    return parts[0] if len(parts) == 1 else Joint(parts)


def _part(artefact: Artefact, feed: Feed, columns: Columns, *, fixed: bool) -> Rows:
    if feed.front_end == "tokens":
        return Tokens(feed, Cutter.of(feed, artefact.files).rows(columns))
    extract = FRONT_ENDS[feed.front_end](feed, artefact.files)
    read = {name: columns[name] for name in feed.columns or list(columns)[:1]}
    rows = len(next(iter(read.values())))
    if fixed and rows:
        first = extract({name: cells[:1] for name, cells in read.items()})
        if rows * sum(array.nbytes for array in first.values()) <= MOST_BYTES:
            return Kept(_kept(extract, read, rows, first))
    return Made(extract, read, None if fixed else _lengths(read, rows))


def _kept(extract: Extractor, columns: Columns, rows: int, first: Arrays) -> Arrays:
    """Return the tensors of all rows, made as many at once as the front end allows."""
    kept = {name: np.empty((rows, *array.shape[1:]), array.dtype) for name, array in first.items()}
    for start, part in _cut(columns, rows, extract.batch):
        for name, array in extract(part).items():
            kept[name][start : start + len(array)] = array
    return kept


def _cut(columns: Columns, rows: int, most: int) -> Iterator[tuple[int, Columns]]:
    for start in range(0, rows, most):
        yield start, {name: cells[start : start + most] for name, cells in columns.items()}


def _lengths(columns: Columns, rows: int) -> Ints:
    """Return about how long each row is: what its cells hold, those that can be counted."""
    total = np.zeros(rows, np.int64)
    for cells in columns.values():
        if cells.dtype == object:
            total += np.fromiter((len(c) if hasattr(c, "__len__") else 1 for c in cells), np.int64, count=rows)
    return total


def fixed_inputs(graph: bytes) -> frozenset[str]:
    """Return the inputs of a graph whose rows are all of one shape."""
    model = onnx.load_model_from_string(graph)
    return frozenset(
        value.name
        for value in model.graph.input
        if all(axis.HasField("dim_value") for axis in list(value.type.tensor_type.shape.dim)[1:])
    )


def sample(rows: int, most: int, seed: int) -> Ints:
    """Return the numbers of some rows, drawn by a seed and sorted; all of them where they are few."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng([seed, 37]).choice(rows, most, replace=False))
