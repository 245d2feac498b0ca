"""What the body of a net learns of images without labels: that two views of one image are the same thing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.contracts import Kind, Meter, Work
from steelyard.learners._image_augment import variation
from steelyard.learners._image_net import ImageNet
from steelyard.learners._image_pixels import INPUT
from steelyard.learners.nets import loop
from steelyard.learners.nets.augment import options_of
from steelyard.learners.nets.course import Course, Told
from steelyard.learners.nets.learner import SELF_SUPERVISED
from steelyard.learners.nets.reading import Held
from steelyard.recipe import Settings
from steelyard.units import Seconds

EPOCHS = 20
WIDTH = 256
"""Numbers that a view is expanded to."""
LIKE, SPREAD, APART = 25.0, 25.0, 1.0
"""Weights of the three terms, as in the paper."""
RATE, DECAY = 0.003, 0.0001
SHARE = 0.5
"""Most of the time left that goes into it."""
FEWEST = 64
"""Images below which there is nothing to learn from views."""
VIEWS = Settings(turn=10.0, zoom=0.5, colour=0.4)


def pretrain(net: ImageNet, material: Held, settings: Told, work: Work, meter: Meter) -> None:
    """Train the body of a net on views of its training images; its head is left as it was.

    Bardes, Ponce, LeCun: VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.

    Images are not mirrored in a view unless the plan's part ``augment`` says that they may be.
    """
    asked = settings.part(SELF_SUPERVISED) or Settings()
    if len(material) < FEWEST:
        meter.note(f"self-supervised learning needs {FEWEST} images and has {len(material)}; it is left out.")
        return
    flip = (settings.part("augment") or Settings()).get("flip", "none")
    view = variation(settings.number("shift", 0.0), options_of(Kind.IMAGE, VIEWS.with_(flip=flip)))

    def views(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        twice = torch.cat([inputs[INPUT], inputs[INPUT]])
        return view({INPUT: twice}, generator)

    course = Course(
        learner="self-supervised",
        epochs=int(asked.number("epochs", EPOCHS)),
        batch=256,
        learning_rate=RATE,
        weight_decay=DECAY,
        warm_up=0.1,
        schedule="cosine",
        precision="bf16" if settings.part("mixed-precision") is not None else "fp32",
        seed=work.seed,
    )
    loop.train(
        Pretext(net),
        material,
        np.zeros(len(material)),
        None,
        course,
        judge=None,
        meter=_Part(meter, meter.remaining() * SHARE),
        vary=views,
    )


class Pretext(nn.Module):
    """A body and what expands its features, for batches whose two halves are views of the same images."""

    def __init__(self, net: ImageNet) -> None:
        super().__init__()
        self.pixels, self.light, self.body = net.pixels, net.light, net.body
        features = net.head.in_features
        self.expand = nn.Sequential(
            *(nn.Linear(features, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()),
            *(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()),
            nn.Linear(WIDTH, WIDTH, bias=False),
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return shape (2 n, width)."""
        return cast("Tensor", self.expand(self.body(self.light(self.pixels(inputs)))))

    def loss(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return how far apart two views of an image are, and how far from spread and independent their numbers."""
        del target, weights
        first, second = outputs.chunk(2)
        like = functional.mse_loss(first, second)
        spread = _unspread(first) + _unspread(second)
        return LIKE * like + SPREAD * spread / 2 + APART * (_alike(first) + _alike(second))


def _unspread(views: Tensor) -> Tensor:
    """Return by how much the numbers of a batch lack a standard deviation of 1."""
    return functional.relu(1 - torch.sqrt(views.var(0) + 1e-4)).mean()


def _alike(views: Tensor) -> Tensor:
    """Return how much the numbers of a batch tell of each other: squared covariances, a number."""
    centred = views - views.mean(0)
    covariance = centred.T @ centred / max(1, len(views) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / views.shape[1]


@dataclass(frozen=True, slots=True)
class _Part:
    """A meter whose time is over when another one has so many seconds less."""

    whole: Meter
    seconds: float

    def report(self, step: int, value: float) -> bool:
        """Go on: nothing is judged here."""
        del step, value
        return True

    def remaining(self) -> Seconds:
        """Return what is left of this part."""
        left = self.whole.remaining()
        return left if math.isinf(left) else Seconds(left - self.seconds)

    def note(self, sentence: str) -> None:
        """Pass a note on."""
        self.whole.note(sentence)
