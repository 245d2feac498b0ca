"""What a net reads of a column of sounds: log-mel spectrograms and how long each is; loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends._spectrogram import Spectrogram
from steelyard.contracts import Columns, Feed, Ints

if TYPE_CHECKING:
    from torch import Tensor

SPECTROGRAM, FRAMES = "spectrogram", "frames"
"""The inputs of the graph."""
AXES = {SPECTROGRAM: {0: "n", 2: "steps"}, FRAMES: {0: "n"}}
"""Which of their axes may have any length."""


MULTIPLE = 32
"""Frames that a batch is padded to a multiple of: on CPUs PyTorch compiles its convolutions anew for each shape."""


@dataclass(frozen=True, slots=True)
class SoundReading:
    """One column of sounds, heard by the front end ``spectrogram``."""

    feed: Feed
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph's inputs."""
        return (self.feed,)

    @property
    def bands(self) -> int:
        """Bands of the spectrogram."""
        return self._front.hearing.bands

    @property
    def _front(self) -> Spectrogram:
        made = FRONT_ENDS[self.feed.front_end](self.feed, self.files)
        assert isinstance(made, Spectrogram)
        return made

    def material(self, columns: Columns) -> Recordings:
        """Return some rows, each decoded once."""
        front = self._front
        return Recordings(front, front.heard(columns))


@dataclass(frozen=True, slots=True)
class Recordings:
    """Spectrograms of several lengths, each of shape (bands, its frames)."""

    front: Spectrogram
    spectrograms: Sequence[NDArray[np.float32]]

    @property
    def lengths(self) -> Ints:
        """Frames of each row, up to the next power of two.

        Rows sorted by their exact length would come in batches of one word each, and their normalisation would learn
        lengths; by powers of two, a batch is padded little and stays mixed.
        """
        frames = np.array([table.shape[1] for table in self.spectrograms], np.int64)
        return np.asarray(2 ** np.ceil(np.log2(np.maximum(frames, 1))).astype(np.int64))

    def __len__(self) -> int:
        return len(self.spectrograms)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return the inputs of the graph for some rows, padded to the longest of them and a little more."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        tensors = self.front.padded([self.spectrograms[row] for row in rows.tolist()], multiple=MULTIPLE)
        return {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
