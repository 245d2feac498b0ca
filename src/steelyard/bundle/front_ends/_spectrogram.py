"""Sounds as log-mel spectrograms, as long as the longest of a batch; the graph masks what lies beyond an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.hearing import Hearing
from steelyard.bundle.front_ends.mel import FLOOR
from steelyard.contracts import Columns, Feed, Kind

_CELLS_AT_ONCE = 2**22
SILENCE = float(np.log(FLOOR))
"""What a cell of a spectrogram holds where nothing is heard."""


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """``inputs[0]`` float32 (n, bands, frames) and ``inputs[1]`` int64 (n,): how many frames each recording has.

    Frames beyond a recording's own are silent. Options: those of :class:`steelyard.bundle.front_ends.hearing.Hearing`.
    """

    spectrogram: str
    frames: str
    column: str
    hearing: Hearing

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.AUDIO})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Spectrogram:
        """Return the extractor for a rate and a scale."""
        del files
        shape_of(feed, inputs=2, columns=1)
        hearing = Hearing.make(feed.front_end, options_of(feed, Hearing.defaults()))
        spectrogram, frames = feed.inputs
        return cls(spectrogram, frames, feed.columns[0], hearing)

    @property
    def batch(self) -> int:
        """Most rows at once: short recordings many, long ones few."""
        return min(max(_CELLS_AT_ONCE // (self.hearing.bands * self.hearing.most_frames), 4), 256)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows.

        Raises
        ------
        RowRefused
            If a sound cannot be read; the sentence names the row.
        """
        return self.padded(self.heard(columns))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self.padded(self.hearing([cells[self.column]], self.column))

    def heard(self, columns: Columns) -> list[NDArray[np.float32]]:
        """Return the spectrogram of each row, shape (bands, its frames)."""
        return self.hearing(column(columns, self.column), self.column)

    def padded(self, several: Sequence[NDArray[np.float32]], *, multiple: int = 1) -> Tensors:
        """Return the tensors of some spectrograms, padded to the longest, and on to a multiple of frames."""
        lengths = np.array([table.shape[1] for table in several], np.int64)
        longest = -(-int(lengths.max(initial=1)) // multiple) * multiple
        padded = np.full((len(several), self.hearing.bands, longest), SILENCE, np.float32)
        for row, table in enumerate(several):
            padded[row, :, : table.shape[1]] = table
        return {self.spectrogram: padded, self.frames: lengths}
