"""Texts as vectors of a frozen encoder: a block of a linear model, embedded once a text."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from onnx import TensorProto

from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.clock import Phase, phase
from steelyard.contracts import Artefact, Columns, Feed, Ints, Meter, Setting
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph, session
from steelyard.learners._prelude import Matrix, Prelude
from steelyard.learners._sums import FittedSums
from steelyard.learners.pretrained.architectures import Floats32, Weights
from steelyard.learners.pretrained.checkpoints import Checkpoint, weights_of
from steelyard.learners.pretrained.graph import hidden, pooled, tokens

LENGTH = Setting(
    default=0,
    options=(0, 16, 32, 64, 128, 256, 512),
    unit="tokens",
    about="Most tokens of a text that are read, of which the encoder may know fewer; 0: what 99% of the training rows "
    "need, 256 at most.",
)
"""The setting of every learner that reads with an encoder."""
SHARE = 0.99
"""Share of the training rows that are read to their end."""
LONGEST = 256
"""Most tokens that are read where nothing else is asked for."""
STEP = 8
"""Rows of a batch are padded to a multiple of so many tokens, their own and no other row's."""
AT_ONCE = 1024
"""Tokens of a batch."""
REMEMBERED = 512 * 2**20
"""Bytes of vectors that are kept for the next fold."""


def tokens_of(
    column: str, checkpoint: Checkpoint, place: int, length: int, texts: Columns | None = None
) -> tuple[Feed, dict[str, bytes]]:
    """Return the feed of a text column for an encoder, with its files.

    ``length`` is the most tokens of a row; 0 lets the rows of ``texts`` say: :data:`SHARE` of them are read whole, up
    to :data:`LONGEST` tokens.
    """
    tail = f"_{place}" if place else ""
    name = "tokenizer.json"
    most = min(length or LONGEST, checkpoint.longest)
    options = {"tokenizer": name, "length": most, "pad": checkpoint.pad}
    feed, files = Feed("tokens", (f"ids{tail}", f"mask{tail}"), (column,), options), {name: checkpoint.tokenizer}
    if length or texts is None:
        return feed, files
    lengths = Cutter.of(feed, files).rows(texts).lengths
    usual = int(np.quantile(lengths, SHARE, method="higher")) if len(lengths) else most
    options["length"] = min(most, max(STEP, -(-usual // STEP) * STEP))
    return Feed(feed.front_end, feed.inputs, feed.columns, options), files


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column of text as unit vectors of a frozen encoder, (n, width)."""

    checkpoint: Checkpoint
    weights: Weights = field(repr=False)
    feed: Feed
    files: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def fit(cls, column: str, texts: Columns, checkpoint: Checkpoint, *, place: int, length: int) -> Encoded:
        """Read the weights, and settle how many tokens are read."""
        return cls(checkpoint, opened(checkpoint), *tokens_of(column, checkpoint, place, length, texts))

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills ids and mask."""
        return (self.feed,)

    @property
    def width(self) -> int:
        """Numbers a text."""
        return self.weights.width

    def build(self, graph: Graph) -> Dense:
        """Add the encoder."""
        ids, there = tokens(graph, *self.feed.inputs)
        state = hidden(graph, self.weights, ids, there)
        return Dense(pooled(graph, state, there, self.checkpoint.pooling), self.width)

    def vectors(self, columns: Columns, *, threads: int, meter: Meter | None = None, keep: bool = False) -> Floats32:
        """Return the vectors of some rows, float32 (n, width); fewer rows, the first ones, where time runs out.

        Parameters
        ----------
        meter
            Says how much time is left; ``None``: there is no deadline.
        keep
            Whether vectors are remembered by this process and taken from there: the folds of one trial share rows.
        """
        found = Cutter.of(self.feed, self.files).rows(columns)
        memory = remembered(self.checkpoint.digest) if keep else {}
        keys = [found.ids[start:end].tobytes() for start, end in pairwise(found.ends)]
        firsts = {key: row for row, key in reversed(list(enumerate(keys))) if key not in memory}
        made: dict[bytes, Floats32] = {}
        if firsts:
            fresh, run = np.array(sorted(firsts.values()), np.int64), self._runner(threads)
            for rows, part in embedded(found, fresh, run, self.checkpoint.pad, meter):
                made |= {keys[row]: vector for row, vector in zip(rows.tolist(), part.copy(), strict=True)}
        known = ChainMap(made, memory)
        there = next((row for row, key in enumerate(keys) if key not in known), len(keys))
        table = np.array([known[key] for key in keys[:there]], np.float32).reshape(-1, self.width)
        if (len(memory) + len(made)) * self.width * table.itemsize <= REMEMBERED:
            memory |= made
        return table

    def _runner(self, threads: int) -> Any:
        graph = Graph()
        made = self.build(graph)
        runtime = session(graph.seal((made.tensor, TensorProto.FLOAT, ["n", made.width])), threads=threads)
        names = self.feed.inputs
        return lambda ids, mask: runtime.run(None, {names[0]: ids, names[1]: mask})[0]


def embedded(found: Ragged, fresh: Ints, run: Any, pad: int, meter: Meter | None) -> Iterator[tuple[Ints, Floats32]]:
    """Yield rows and what an encoder makes of them, in batches of one shape for rows of one length.

    A row's numbers depend on its own tokens alone: it is padded to a multiple of :data:`STEP`, never to the length of
    a neighbour. Ends when time runs out.
    """
    lengths = np.maximum(STEP, -(-found.lengths[fresh] // STEP) * STEP)
    began, done = time.monotonic(), 0
    for length in np.unique(lengths):
        these, size = fresh[lengths == length], max(1, AT_ONCE // int(length))
        for start in range(0, len(these), size):
            rows = these[start : start + size]
            ids, mask, _ = found.padded(rows, pad)
            short = ((0, size - len(rows)), (0, int(length) - ids.shape[1]))
            yield rows, run(np.pad(ids, short, constant_values=pad), np.pad(mask, short))[: len(rows)]
            done += len(rows)
            if meter is not None and meter.remaining() <= 0.05 * (time.monotonic() - began) and done < len(fresh):
                return


@dataclass(frozen=True, slots=True)
class Bucketed(Prelude):
    """Blocks side by side, those of encoders run over rows of like length together."""

    @phase(Phase.PREPARING)
    def run(self, columns: Columns, *, threads: int) -> tuple[Matrix, ...]:
        """Return the features of each block, shape (n, width)."""
        return tuple(
            block.vectors(columns, threads=threads)
            if isinstance(block, Encoded)
            else Prelude((block,)).run(columns, threads=threads)[0]
            for block in self.blocks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedProbe(FittedSums):
    """A linear model on the vectors of an encoder."""

    checkpoint: Checkpoint

    def export(self) -> Artefact:
        """Return encoder, sums and link as one graph."""
        return replace(FittedSums.export(self), pretrained=self.checkpoint.about())


@lru_cache(maxsize=2)
def opened(checkpoint: Checkpoint) -> Weights:
    """Return the weights of a checkpoint, the same ones to all folds of a trial."""
    return weights_of(checkpoint)


@lru_cache(maxsize=1)
def remembered(digest: str) -> dict[bytes, Floats32]:
    """Return the vectors that this process knows of one encoder, by the bytes of their tokens."""
    del digest
    return {}
