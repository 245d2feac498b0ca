"""What the front ends of sounds share: the options, and log-mel spectrograms of cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import RowRefused
from steelyard.bundle.front_ends.mel import Scale, spectrogram
from steelyard.bundle.front_ends.recordings import Listener
from steelyard.data.waves import FASTEST, SLOWEST
from steelyard.errors import BundleRefused

_RANGES: Mapping[str, tuple[float, float]] = {
    "rate": (SLOWEST, FASTEST),
    "bands": (4, 512),
    "window": (0.002, 1.0),
    "hop": (0.001, 1.0),
    "low": (0.0, 20_000.0),
    "seconds": (0.01, 600.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How sounds are heard.

    Parameters
    ----------
    rate
        Samples a second that every recording is brought to, in Hz.
    seconds
        The longest that is listened to: of a longer recording its middle.
    bands, window, hop, low
        Of the spectrogram; see :class:`steelyard.bundle.front_ends.mel.Scale`.
    """

    rate: int
    seconds: float
    bands: int = 40
    window: float = 0.025
    hop: float = 0.01
    low: float = 20.0

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the options by name with their defaults; ``...`` for those that must be given."""
        return {f.name: ... if f.default is dataclasses.MISSING else f.default for f in dataclasses.fields(cls)}

    @classmethod
    def make(cls, front_end: str, options: Mapping[str, Any]) -> Self:
        """Return them checked.

        Raises
        ------
        BundleRefused
            If one is out of range.
        """
        for name, (low, high) in _RANGES.items():
            value = options[name]
            whole = name in {"rate", "bands"}
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise BundleRefused(f"front end {front_end!r}: {name} must be a number; got {value!r}")
            if not low <= value <= high:
                raise BundleRefused(f"front end {front_end!r}: {name} must be {low:g} to {high:g}; got {value!r}")
        if options["low"] >= options["rate"] / 2:
            raise BundleRefused(f"front end {front_end!r}: low must be below half the rate; got {options['low']!r}")
        return cls(**options)

    @property
    def scale(self) -> Scale:
        """The scale of the spectrogram."""
        return Scale(rate=self.rate, bands=self.bands, window=self.window, hop=self.hop, low=self.low)

    @property
    def most_frames(self) -> int:
        """Frames of the longest recording that is listened to."""
        return self.scale.frames(self.seconds)

    def options(self) -> dict[str, Any]:
        """Return them as a feed holds them."""
        return dataclasses.asdict(self)

    def __call__(self, cells: Iterable[Any], column: str) -> list[NDArray[np.float32]]:
        """Return the log-mel spectrogram of each cell, shape (bands, its frames).

        Raises
        ------
        RowRefused
            If a sound cannot be read; the sentence names the row.
        """
        made, scale = [], self.scale
        with Listener() as listener:
            for row, cell in enumerate(cells):
                try:
                    made.append(spectrogram(listener.samples(cell, self.rate, self.seconds), scale))
                except ValueError as problem:
                    raise RowRefused(row, f" of column {column!r}: {problem}") from None
        return made
