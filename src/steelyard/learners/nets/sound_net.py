"""A small net on log-mel spectrograms of any length: cepstra, depthwise separable convolutions along time, parts."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from steelyard.learners.nets.sounds import FRAMES, SPECTROGRAM

QUIET = 1e-2
"""Added to the variance of a recording, in squared nepers, so that silence stays silent."""
RANGE = 6 * math.log(10)
"""Nepers of power below the loudest moment and band that are told apart: 60 dB."""
FAR = 1e3
KERNEL = 7
"""Frames that a unit looks at together; the first one takes every other frame."""


class Unit(nn.Module):
    """A filter of each channel along time by itself, then one across channels; and a way around where it can be.

    Kriman et al.: QuartzNet: Deep ASR with 1D Time-Channel Separable Convolutions, ICASSP 2020; Majumdar, Ginsburg:
    MatchboxNet, Interspeech 2020.
    """

    def __init__(self, into: int, out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.each = nn.Conv1d(into, into, KERNEL, stride, KERNEL // 2, groups=into, bias=False)
        self.across = nn.Conv1d(into, out, 1, bias=False)
        self.norm = nn.BatchNorm1d(out)
        self.around = into == out and stride == 1

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Return shape (n, out, frames / stride); 0 where ``there``, shape (n, 1, frames / stride), is 0."""
        inner = self.norm(self.across(self.each(x)))
        return torch.relu(inner + x if self.around else inner) * there


class SoundNet(nn.Module):
    """From log-mel spectrograms to logits or values.

    Every recording is first brought to mean 0 and variance 1, so that loudness does not matter, and its bands to their
    first cepstra: the envelope of the spectrum, which says what is spoken, without the harmonics of the pitch, which
    say by whom. A layer joins them, units look along time, and what they find is averaged over each of a few equal
    parts of the recording, for the order of sounds makes a word. Frames beyond a recording's end are 0 before every
    filter that looks along time, as what lies beyond the batch is, so that an answer does not depend on the rows
    beside it.

    Parameters
    ----------
    bands
        Of the spectrogram.
    cepstra
        How many of them are kept; 0: the bands as they are.
    width
        Channels.
    blocks
        Units that look along time.
    parts
        Equal parts of a recording that are averaged by themselves; 1: the recording as a whole.
    outputs
        Columns of the output.
    dropout
        Share of the last layer's inputs that are dropped in training.
    """

    cosines: Tensor

    def __init__(
        self, *, bands: int, cepstra: int, width: int, blocks: int, parts: int, outputs: int, dropout: float
    ) -> None:
        super().__init__()
        kept = min(cepstra, bands) or bands
        table = _cosines(bands)[:kept] if cepstra else torch.eye(bands)
        self.register_buffer("cosines", table)
        self.parts = parts
        self.join = nn.Conv1d(kept, width, 1, bias=False)
        self.joined = nn.BatchNorm1d(width)
        self.units = nn.ModuleList(Unit(width, width, stride=1 if place else 2) for place in range(blocks))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(parts * width, outputs)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return shape (n, outputs)."""
        spectrogram, frames = inputs[SPECTROGRAM], inputs[FRAMES]
        place = torch.arange(spectrogram.shape[2], device=frames.device)
        there = (place < frames[:, None])[:, None].float()
        x = torch.matmul(self.cosines, _even(spectrogram, there))
        x = torch.relu(self.joined(self.join(x))) * there
        there = there[:, :, ::2]
        for unit in self.units:
            x = unit(x, there)
        found = self._averaged(x, place[::2], frames).flatten(1)
        return cast("Tensor", self.head(self.dropout(found)))

    def _averaged(self, x: Tensor, place: Tensor, frames: Tensor) -> Tensor:
        """Return the mean over each part of a recording, shape (n, channels, parts).

        A frame counts for the parts that it overlaps by as much as it does, so that no part is empty, however short the
        recording.
        """
        unit = 2.0 * self.parts / torch.ceil(frames / 2).mul(2).float()[:, None, None]
        start = place.float()[None, :, None] / 2 * unit
        part = torch.arange(self.parts, device=frames.device).float()
        overlap = (torch.minimum(start + unit, part + 1) - torch.maximum(start, part)).clamp(min=0)
        return torch.matmul(x, overlap)


def _cosines(bands: int) -> Tensor:
    """Return the orthonormal discrete cosine transform (DCT-II), shape (bands, bands)."""
    place = torch.arange(bands, dtype=torch.float64)
    table = torch.cos(math.pi / bands * place[:, None] * (place + 0.5)) * math.sqrt(2 / bands)
    table[0] /= math.sqrt(2)
    return table.float()


def _even(x: Tensor, there: Tensor) -> Tensor:
    """Return each recording with mean 0 and variance 1 over its frames and bands; 0 beyond its end.

    What lies more than :data:`RANGE` below its loudest cell is not told apart: there, files differ by how they were
    made, in dither and in silence that is none or all zeros.
    """
    x = torch.maximum(x, (x + (there - 1) * FAR).amax((1, 2), keepdim=True) - RANGE)
    cells = there.sum((1, 2), keepdim=True) * x.shape[1]
    x = (x - (x * there).sum((1, 2), keepdim=True) / cells) * there
    variance = (x * x).sum((1, 2), keepdim=True) / cells
    return x * torch.rsqrt(variance + QUIET)
