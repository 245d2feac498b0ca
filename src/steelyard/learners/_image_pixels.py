"""What all nets of images begin with: pixels brought to one scale, and mixed where that is asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INPUT = "image"
PARTNER, SHARE = "partner", "share"
"""Beside the images of a batch: with which other each is mixed, and how much of itself it keeps."""
SAMPLE = 2000
"""Images from which mean and spread of pixels are taken."""

MOST = 255.0
"""White."""
FLAT = 0.02
"""Spread, as a share of that of all training images, below which an image is noise and is not blown up."""


class Pixels(nn.Module):
    """Brings pixels from 0 to 255 to mean 0 and spread 1, a channel, and mixes the images that are to be mixed.

    Parameters
    ----------
    channels
        1 or 3.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def standardise(self, pixels: Tensor) -> None:
        """Take mean and spread from training images, uint8 of shape (n, channels, height, width)."""
        sample = pixels[:: max(1, len(pixels) // SAMPLE)].float()
        self.mean.copy_(sample.mean((0, 2, 3), keepdim=True))
        self.scale.copy_(1 / sample.std((0, 2, 3), keepdim=True).clamp_min(1.0))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return float32 of the shape of ``image``; in training laid out with its channels last, which CPUs favour."""
        x = (inputs[INPUT].float() - self.mean) * self.scale
        if PARTNER in inputs:
            share = inputs[SHARE][:, None, None, None]
            x = share * x + (1 - share) * x[inputs[PARTNER]]
        return x if torch.onnx.is_in_onnx_export() else x.contiguous(memory_format=torch.channels_last)


class OwnLight(nn.Module):
    """Brings each image to mean 0 and spread 1 of its own: how bright and how rich in contrast it was is forgotten."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the shape of ``x``, standardised pixels; an image of one shade becomes 0."""
        x = x - x.mean((1, 2, 3), keepdim=True)
        return x / ((x * x).mean((1, 2, 3), keepdim=True) + FLAT**2).sqrt()
