"""What a net reads of text that a pretrained encoder understands: its tokens, or what its lowest layers make of them.

Layers that are not trained say the same of a text in every epoch, so they are run once, by the graph that ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.contracts import Columns, Feed, Ints, Split, Work
from steelyard.learners._graph import Graph, Shape, session
from steelyard.learners.pretrained.architectures import Floats32, Weights
from steelyard.learners.pretrained.checkpoints import Checkpoint
from steelyard.learners.pretrained.graph import hidden, tokens

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 2 * 2**30
"""Most bytes of kept vectors; beyond, the lowest layers are run again each time."""
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows as tokens, and as vectors of each token where the lowest layers were run: (all tokens, width)."""

    rows: Ragged
    pad: int
    vectors: Floats32 | None = None

    @property
    def lengths(self) -> Ints:
        """Tokens of each row."""
        return self.rows.lengths

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return ``ids``, or ``hidden``, and ``mask``, padded to the longest of these rows."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        ids, mask, _ = self.rows.padded(rows, self.pad)
        if self.vectors is None:
            return {"ids": torch.from_numpy(ids), "mask": torch.from_numpy(mask)}
        table = np.zeros((*mask.shape, self.vectors.shape[1]), np.float32)
        for line, row in zip(table, rows, strict=True):
            start, end = self.rows.ends[row], self.rows.ends[row + 1]
            line[: end - start] = self.vectors[start:end]
        return {"hidden": torch.from_numpy(table), "mask": torch.from_numpy(mask)}


@dataclass(frozen=True, slots=True)
class Pieces:
    """A column of text through the tokenizer of a checkpoint, and through its lowest layers if they are not trained."""

    checkpoint: Checkpoint
    weights: Weights = field(repr=False)
    feed: Feed
    files: Mapping[str, bytes] = field(repr=False)
    below: int
    train: Split = field(repr=False)
    work: Work
    _held: list[tuple[Columns, Cut]] = field(default_factory=list, repr=False)
    """The training rows as they were cut: the head is fitted on them before the loop asks for them again."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills ids and mask in a bundle."""
        return (self.feed,)

    def material(self, columns: Columns) -> Cut:
        """Return some rows, ready to be taken in batches."""
        for columns_held, cut in self._held:
            if columns_held is columns:
                return cut
        cut = self._cut(columns)
        if columns is self.train.columns:
            self._held.append((columns, cut))
        return cut

    def forget(self) -> None:
        """Let go of the training rows that were kept."""
        self._held.clear()

    def _cut(self, columns: Columns) -> Cut:
        rows = Cutter.of(self.feed, self.files).rows(columns)
        kept = int(rows.ends[-1]) * self.weights.width * 4 <= ROOM
        return Cut(rows, self.checkpoint.pad, self._lowest(rows) if self.below and kept else None)

    def _lowest(self, rows: Ragged) -> Floats32:
        """Return what the lowest layers make of every token."""
        graph, names = Graph(), self.feed.inputs
        ids, there = tokens(graph, *names)
        lower = replace(self.weights, layers=self.weights.layers[: self.below])
        width = self.weights.width
        shape: Shape = ["n", f"{names[0]}_tokens", width]
        end = (hidden(graph, lower, ids, there), int(TensorProto.FLOAT), shape)
        runtime = session(graph.seal(end), threads=self.work.threads)
        vectors = np.empty((int(rows.ends[-1]), width), np.float32)
        order = np.argsort(rows.lengths, kind="stable")
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            table, mask, _ = rows.padded(some, self.checkpoint.pad)
            (state,) = runtime.run(None, {names[0]: table, names[1]: mask})
            for row, line in zip(some, state, strict=True):
                first, last = rows.ends[row], rows.ends[row + 1]
                vectors[first:last] = line[: last - first]
        return vectors
