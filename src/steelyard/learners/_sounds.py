"""Sounds as a few numbers each, for learners of tables: what deep learning on sounds has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Feed, Floats, Kind, Split, Work
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph
from steelyard.learners._hearing import hearing_of

FRONT_END = "sound-features"
OF_SOUND = 117
"""Numbers that a recording becomes, by default."""
BANDS = 26
FAR = 10.0
"""Most standard deviations that a linear model is told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """One column of sounds as the numbers of the front end ``sound-features``, standardised or as they are."""

    feed: Feed
    shift: Floats | None = None
    scale: Floats | None = None
    width: int

    @classmethod
    def fit(cls, columns: Columns, name: str, *, tag: str, standard: bool) -> Sounds:
        """Look at the rate and length of the training sounds, and with ``standard`` at mean and deviation too."""
        hearing = hearing_of(name, list(columns[name]), bands=BANDS)
        feed = Feed(FRONT_END, (f"sound_{tag}",), (name,), hearing.options())
        extract = FRONT_ENDS[FRONT_END](feed, {})
        width: int = extract.width  # type: ignore[attr-defined] # of this front end alone
        if not standard:
            return cls(feed=feed, width=width)
        cells = extract(columns)[feed.inputs[0]].astype(np.float64)
        spread = cells.std(axis=0)
        scale = 1 / np.where(spread > 0, spread, 1.0)
        return cls(feed=feed, shift=cells.mean(axis=0), scale=scale, width=width)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of numbers."""
        return (self.feed,)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: shift, scale and limits, if any."""
        made = graph.input(self.feed.inputs[0], TensorProto.FLOAT, ["n", self.width])
        if self.shift is not None and self.scale is not None:
            shift, scale = (graph.constant(x.astype(np.float32)) for x in (self.shift, self.scale))
            ends = (graph.constant(np.array(end, np.float32)) for end in (-FAR, FAR))
            made = graph.add("Clip", graph.add("Mul", graph.add("Sub", made, shift), scale), *ends)
        return Dense(made, self.width)


@phase(Phase.PREPARING)
def sounds(train: Split, work: Work, *, standard: bool) -> tuple[Sounds, ...]:
    """Return one fitted block a column of sounds; ``standard`` for models that add up, not for those that split."""
    columns = work.schema.of(Kind.AUDIO)
    return tuple(
        Sounds.fit(train.columns, column.name, tag=str(place), standard=standard)
        for place, column in enumerate(columns)
    )
