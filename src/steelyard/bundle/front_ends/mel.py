"""From samples to a log-mel spectrogram, by numpy: resampling, frames, filters on the mel scale.

References
----------
.. [1] Smith: Digital Audio Resampling, 1984, https://ccrma.stanford.edu/~jos/resample/ (windowed sinc).
.. [2] Davis, Mermelstein: Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously
   Spoken Sentences, IEEE TASSP 28(4), 1980.
.. [3] Young et al.: The HTK Book, 2006 (mel = 2595 log10(1 + f / 700)).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from steelyard.contracts import Floats

ZEROS = 16
"""Zero crossings of the sinc on each side."""
ROLL_OFF = 0.94
"""Where the filter cuts, as a share of the lower of the two Nyquist rates."""
BETA = 8.6
"""Of the Kaiser window: what lies beyond the cut is 90 dB down."""
FINEST = 1000
"""Largest denominator of the ratio of two rates; an odder one is off by less than a cent of a semitone."""
FLOOR = 1e-10
"""Power below which nothing is heard: -100 dB of full scale."""
_AT_ONCE = 2**21


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a spectrogram is taken: frames of ``window`` seconds every ``hop`` seconds, ``bands`` from ``low`` Hz up."""

    rate: int
    """Samples a second."""
    bands: int = 40
    window: float = 0.025
    hop: float = 0.01
    low: float = 20.0

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return max(2, round(self.window * self.rate))

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.hop * self.rate))

    @property
    def points(self) -> int:
        """Points of the Fourier transform: the next power of two."""
        return int(2 ** math.ceil(math.log2(self.samples)))

    def frames(self, seconds: float) -> int:
        """Return how many frames a recording of some length has."""
        return 1 + max(0, math.ceil(seconds * self.rate) - self.samples) // self.step


def resampled(samples: Floats, rate: int, wanted: int) -> Floats:
    """Return samples at another rate: a polyphase filter, its taps a sinc in a Kaiser window.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(4800) / 48000)
    >>> there = np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
    >>> bool(np.abs(resampled(tone, 48000, 8000) - there)[100:700].max() < 1e-4)
    True
    """
    if rate == wanted:
        return samples
    ratio = Fraction(wanted, rate).limit_denominator(FINEST)
    up, down = ratio.numerator, ratio.denominator
    taps = _taps(up, down)
    half = taps.shape[1] // 2
    count = max(1, len(samples) * up // down)
    # Output n lies n * down / up inputs in: phase (n * down) % up of the filter, around input (n * down) // up.
    padded = np.concatenate([np.zeros(half), samples, np.zeros(half + 1)])
    windows = sliding_window_view(padded, taps.shape[1])
    made = np.empty(count)
    for start in range(0, count, step := max(1, _AT_ONCE // taps.shape[1])):
        place = np.arange(start, min(start + step, count), dtype=np.int64) * down
        made[start : start + step] = np.einsum("nk,nk->n", windows[place // up], taps[place % up])
    return made


@functools.lru_cache(maxsize=32)
def _taps(up: int, down: int) -> Floats:
    """Return the filter of each phase, shape (up, taps); each lets a constant through as it is."""
    cut = ROLL_OFF * min(1.0, up / down)
    half = math.ceil(ZEROS / cut)
    at = np.arange(-half, half + 1) - np.arange(up)[:, None] / up
    window = np.i0(BETA * np.sqrt(np.clip(1 - (at / (half + 1)) ** 2, 0, 1))) / np.i0(BETA)
    taps = np.sinc(cut * at) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


def mel(hertz: float) -> float:
    """Return a frequency on the mel scale of HTK.

    Examples
    --------
    >>> round(mel(1000.0), 1)
    1000.0
    """
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


@functools.lru_cache(maxsize=32)
def filters(scale: Scale) -> NDArray[np.float64]:
    """Return the triangular filters, shape (points // 2 + 1, bands), each with a peak of 1 at most.

    Their corners lie evenly on the mel scale from ``low`` Hz to half the rate. A filter narrower than the distance of
    two points of the transform takes what lies nearest to its middle, so that no band is empty.
    """
    corners = 700.0 * (10 ** (np.linspace(mel(scale.low), mel(scale.rate / 2), scale.bands + 2) / 2595.0) - 1)
    points = np.arange(scale.points // 2 + 1) * scale.rate / scale.points
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (points[:, None] - left) / (middle - left)
    falling = (right - points[:, None]) / (right - middle)
    table = np.clip(np.minimum(rising, falling), 0, None)
    for band in np.flatnonzero(~table.any(axis=0)):
        table[np.argmin(np.abs(points - middle[band])), band] = 1.0
    return np.asarray(table)


@functools.lru_cache(maxsize=32)
def _window(samples: int) -> Floats:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples))


def spectrogram(samples: Floats, scale: Scale) -> NDArray[np.float32]:
    """Return the logarithm of the power in each band and frame, shape (bands, frames), float32.

    The power is that of a Hann window, so that a tone of full scale has about -1.4 in its band whatever the window;
    a recording shorter than a window is filled up with silence, and what is left over behind the last is not looked at.

    Examples
    --------
    >>> spectrogram(np.zeros(8000), Scale(rate=8000)).shape
    (40, 98)
    """
    size = scale.samples
    if len(samples) < size:
        samples = np.concatenate([samples, np.zeros(size - len(samples))])
    window = _window(size)
    frames = sliding_window_view(samples, size)[:: scale.step] * window
    power = np.abs(np.fft.rfft(frames, scale.points)) ** 2 / (window.sum() / 2) ** 2
    return np.asarray(np.log(np.maximum(power @ filters(scale), FLOOR)).T, np.float32)
