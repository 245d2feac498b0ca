"""Sounds as a few numbers: cepstra over time, how they vary and move, and how long; for learners of tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.hearing import Hearing
from steelyard.contracts import Columns, Feed, Floats, Kind
from steelyard.errors import BundleRefused

RANGE = 6 * float(np.log(10))
"""Nepers of power below the loudest moment and band that are told apart: 60 dB."""
_LIMITS = {"cepstra": (4, 40), "parts": (1, 64)}


@dataclass(frozen=True, slots=True)
class SoundFeatures:
    """float32, shape (n, :attr:`width`): what a recording is like, in numbers that no net is needed for.

    Cepstra are the discrete cosine transform of the log-mel bands (Davis and Mermelstein, 1980), by default 12 and the
    level from 26 bands as in the HTK Book. Of each there are its mean over the whole recording, its deviation, the
    deviation of its change from frame to frame, and its mean, less that of the whole, in each of ``parts`` equal parts:
    a coarse shape of the sound in time. Then the logarithm of its seconds. The mean level is left out, so that it does
    not matter how far the microphone was, and what lies more than :data:`RANGE` below the loudest is not told apart.
    Options: ``cepstra``, ``parts``, and those of :class:`steelyard.bundle.front_ends.hearing.Hearing`.
    """

    input: str
    column: str
    hearing: Hearing
    cepstra: int
    parts: int

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.AUDIO})
    batch: ClassVar[int] = 64

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> SoundFeatures:
        """Return the extractor for a rate and a scale."""
        del files
        shape_of(feed, inputs=1, columns=1)
        options = options_of(feed, {"cepstra": 13, "parts": 6, **Hearing.defaults(), "bands": 26})
        own = {name: options.pop(name) for name in _LIMITS}
        for name, (low, high) in _LIMITS.items():
            if not low <= own[name] <= high:
                raise BundleRefused(f"front end {feed.front_end!r}: {name} must be {low} to {high}; got {own[name]!r}")
        hearing = Hearing.make(feed.front_end, options)
        if own["cepstra"] > hearing.bands:
            raise BundleRefused(f"front end {feed.front_end!r}: there are no more cepstra than bands")
        return cls(feed.inputs[0], feed.columns[0], hearing, **own)

    @property
    def width(self) -> int:
        """Numbers a recording."""
        return self.cepstra * (3 + self.parts)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows.

        Raises
        ------
        RowRefused
            If a sound cannot be read; the sentence names the row.
        """
        return {self.input: self._table(self.hearing(column(columns, self.column), self.column))}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: self._table(self.hearing([cells[self.column]], self.column))}

    def _table(self, several: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        table = np.empty((len(several), self.width), np.float32)
        for row, bands in enumerate(several):
            table[row] = self._numbers(bands.astype(np.float64))
        return table

    def _numbers(self, bands: Floats) -> Floats:
        frames = bands.shape[1]
        cepstra = _cosines(len(bands), self.cepstra) @ np.maximum(bands, bands.max() - RANGE)
        mean = cepstra.mean(axis=1)
        change = np.diff(cepstra, axis=1).std(axis=1) if frames > 1 else np.zeros(self.cepstra)
        # A part of a recording with fewer frames than parts is the frame that lies in it.
        ends = np.linspace(0, frames, self.parts + 1)
        first = np.minimum(ends[:-1].astype(int), frames - 1)
        last = np.maximum(np.ceil(ends[1:]).astype(int), first + 1)
        sums = np.concatenate([np.zeros((self.cepstra, 1)), cepstra.cumsum(axis=1)], axis=1)
        shape = (sums[:, last] - sums[:, first]) / (last - first) - mean[:, None]
        seconds = np.log(frames * self.hearing.hop)
        return np.concatenate([mean[1:], cepstra.std(axis=1), change, shape.ravel(), [seconds]])


@functools.lru_cache(maxsize=8)
def _cosines(bands: int, cepstra: int) -> Floats:
    """Return the orthonormal discrete cosine transform (DCT-II), shape (cepstra, bands)."""
    table = np.cos(np.pi / bands * np.arange(cepstra)[:, None] * (np.arange(bands) + 0.5)) * np.sqrt(2 / bands)
    table[0] /= np.sqrt(2)
    return np.asarray(table)
