"""Training recordings heard differently each time: their log-mel spectrograms are stretched, coloured and blanked.

All of it is done to the logarithm of power, before the net brings a recording to its own mean and variance, so that
noise adds where it would add and a gap is as loud as the recording is on average. What the front end pads with is
silence; what becomes of it does not matter, as the net looks at the frames of a recording alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from steelyard.learners.nets.augment_sound import Strengths
from steelyard.learners.nets.loop import Vary
from steelyard.learners.nets.sounds import FRAMES, MULTIPLE, SPECTROGRAM

FEWEST = 4
"""Frames that a recording is not hurried below."""
QUIETEST, LOUDEST = 40.0, 10.0
"""How far below the loudest moment of a recording noise may lie, in dB."""
SLOPE = 3.0
"""Most that noise is louder at one end of the bands than in their middle, in nepers of power: hum to hiss."""
NEPERS = math.log(10) / 10
"""Nepers of power in a decibel."""
GAPS = 2
"""Gaps in time, and as many in frequency."""


def varying(how: Strengths) -> Vary | None:
    """Return what varies a batch; ``None`` where nothing is to be varied."""
    return _Varying(how) if how.any else None


@dataclass(frozen=True, slots=True)
class _Varying:
    how: Strengths

    def __call__(self, inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return a batch in which each recording is changed in its own way."""
        x, frames, how = inputs[SPECTROGRAM], inputs[FRAMES], self.how
        draw = _Draw(len(x), generator)
        if how.speed:
            x, frames = hurried(x, frames, torch.exp(draw.around(how.speed)))
        if how.voice:
            x = stretched(x, torch.exp(draw.around(how.voice)))
        if how.tone:
            x = coloured(x, torch.stack([draw.around(how.tone * NEPERS / 2) for _ in range(4)], dim=1))
        if how.hiss:
            x = noisy(x, how.hiss, draw)
        if how.gaps:
            x = gapped(x, frames, how.gaps, draw)
        return {**inputs, SPECTROGRAM: x, FRAMES: frames}


@dataclass(frozen=True, slots=True)
class _Draw:
    """Draws of one number a recording."""

    rows: int
    generator: torch.Generator

    def one(self, *more: int) -> Tensor:
        """Return numbers from 0 to 1, shape (n, ...)."""
        return torch.rand(self.rows, *more, generator=self.generator)

    def around(self, most: float) -> Tensor:
        """Return numbers from ``-most`` to ``most``, shape (n,)."""
        return (2 * self.one() - 1) * most


def hurried(x: Tensor, frames: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
    """Return recordings at another speed (``by`` 2: in half the time), and their new lengths.

    Ko, Peddinti, Povey, Khudanpur: Audio Augmentation for Speech Recognition, Interspeech 2015. Unlike there the pitch
    stays: it is varied by itself.
    """
    made = (frames / by).round().long().clamp(min=FEWEST)
    ratio = (frames - 1).float() / (made - 1).float()
    longest = math.ceil(int(made.max()) / MULTIPLE) * MULTIPLE
    place = torch.arange(longest)[None] * ratio[:, None]
    return _taken(x, torch.minimum(place, (frames - 1).float()[:, None]), 2), made


def stretched(x: Tensor, by: Tensor) -> Tensor:
    """Return recordings whose bands lie further apart (or closer), as those of another vocal tract do.

    Jaitly, Hinton: Vocal Tract Length Perturbation improves speech recognition, ICML workshop 2013; here along the mel
    axis, so that the rate need not be known.
    """
    bands = x.shape[1]
    place = (torch.arange(bands)[None] + 0.5) * by[:, None] - 0.5
    return _taken(x, place.clamp(0, bands - 1), 1)


def _taken(x: Tensor, place: Tensor, axis: int) -> Tensor:
    """Return ``x`` (n, bands, frames) at fractional places along an axis, shape (n, places), between its neighbours."""
    before = place.floor().long()
    after = (before + 1).clamp(max=x.shape[axis] - 1)
    share = place - before

    def along(values: Tensor) -> Tensor:
        return (
            values[:, :, None].expand(-1, -1, x.shape[2]) if axis == 1 else values[:, None].expand(-1, x.shape[1], -1)
        )

    return x.gather(axis, along(before)) * along(1 - share) + x.gather(axis, along(after)) * along(share)


def coloured(x: Tensor, nepers: Tensor) -> Tensor:
    """Return recordings of other microphones: a smooth curve over the bands, of a slope and three cosines (n, 4)."""
    place = (torch.arange(x.shape[1]) + 0.5) / x.shape[1]
    curves = torch.stack([2 * place - 1, *(torch.cos(math.pi * turns * place) for turns in (2, 3, 4))])
    return x + (nepers @ curves)[:, :, None]


def noisy(x: Tensor, share: float, draw: _Draw) -> Tensor:
    """Return recordings, a share of them with steady noise of some colour, whose power in a cell is chi-squared."""
    below = (LOUDEST + (QUIETEST - LOUDEST) * draw.one(1, 1)) * NEPERS
    slope = (2 * draw.one(1, 1) - 1) * SLOPE * torch.linspace(-1, 1, x.shape[1])[None, :, None]
    power = -torch.log(draw.one(*x.shape[1:]).clamp(1e-6, 1 - 1e-6))
    power = (power - torch.log(draw.one(*x.shape[1:]).clamp(1e-6, 1 - 1e-6))) / 2
    added = torch.logaddexp(x, x.amax((1, 2), keepdim=True) - below + slope + torch.log(power))
    return torch.where(draw.one(1, 1) < share, added, x)


def gapped(x: Tensor, frames: Tensor, most: float, draw: _Draw) -> Tensor:
    """Return recordings with two gaps in time and two in frequency, as loud as the recording is on average.

    Park et al.: SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition, Interspeech 2019.
    """
    there = torch.arange(x.shape[2]) < frames[:, None]
    mean = (x * there[:, None]).sum((1, 2)) / (frames * x.shape[1])
    blank = torch.zeros_like(x, dtype=torch.bool)
    for _ in range(GAPS):
        blank |= _gap(frames, x.shape[2], most, draw)[:, None]
        blank |= _gap(torch.full_like(frames, x.shape[1]), x.shape[1], most, draw)[:, :, None]
    return torch.where(blank, mean[:, None, None], x)


def _gap(whole: Tensor, size: int, most: float, draw: _Draw) -> Tensor:
    """Tell which of ``size`` places lie in a gap of up to a share of the whole, shape (n, size)."""
    wide = draw.one() * most * whole
    start = draw.one() * (whole - wide)
    place = torch.arange(size)[None]
    return (place >= start[:, None]) & (place < (start + wide)[:, None])
