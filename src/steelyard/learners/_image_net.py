"""The net that all families of images share: pixels, a body that makes features of them, and a linear head."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.learners._image_objective import Objective
from steelyard.learners._image_pixels import OwnLight, Pixels
from steelyard.learners.nets.course import Course


def relu(x: Tensor) -> Tensor:
    """Return the positive part, in the same memory: nothing else needs what was there."""
    return functional.relu(x, inplace=True)


def pooled(x: Tensor) -> Tensor:
    """Return the mean over places, shape (n, channels), by the operator that graphs have for it."""
    return functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Unit(nn.Module):
    """A convolution and its normalisation; the export folds one into the other."""

    def __init__(self, into: int, out: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (n, out, height / stride, width / stride)."""
        return cast("Tensor", self.norm(self.conv(x)))


class ImageNet(nn.Module):
    """From uint8 pixels to logits or values.

    Parameters
    ----------
    channels
        1 or 3.
    body
        From standardised pixels to ``features`` numbers an image.
    features
        How many that are.
    outputs
        Columns of the output.

    Attributes
    ----------
    loss
        What a lever has it make small instead of the usual loss.
    light
        What forgets the light of each image; nothing by default.
    pace
        Rate at which the body learns, as a share of that of the head: below 1 where it starts from a checkpoint.
    """

    def __init__(self, channels: int, body: nn.Module, features: int, outputs: int) -> None:
        super().__init__()
        self.pixels = Pixels(channels)
        self.light: OwnLight | nn.Identity = nn.Identity()
        self.body = body
        self.head = nn.Linear(features, outputs)
        self.loss: Objective | None = None
        self.pace = 1.0
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # as PyTorch's own guide has it

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return shape (n, outputs)."""
        x = self.pixels(inputs)
        if self.loss is not None and self.training:
            self.loss.heed(inputs, x)
        return self.answer(x)

    def groups(self, course: Course) -> list[dict[str, Any]]:
        """Return the parameters for an optimiser: those of the body at their own pace, and decay on filters alone."""
        rate = course.learning_rate
        parts = ((self.body, rate * self.pace), (self.head, rate))
        return [
            {
                "params": [p for p in module.parameters() if (p.ndim > 1) is wide],
                "lr": lr,
                "weight_decay": course.weight_decay if wide else 0.0,
            }
            for module, lr in parts
            for wide in (True, False)
        ]

    def answer(self, x: Tensor) -> Tensor:
        """Return logits or values of standardised pixels, shape (n, outputs)."""
        return cast("Tensor", self.head(self.seen(x)))

    def seen(self, x: Tensor) -> Tensor:
        """Return the features of standardised pixels, shape (n, features)."""
        return cast("Tensor", self.body(self.light(x)))
