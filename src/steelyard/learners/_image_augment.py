"""Images varied a batch at a time: every image its own way, all of them in the same few operations."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from steelyard.learners._image_pixels import INPUT, MOST, PARTNER, SHARE
from steelyard.recipe import Settings

_STEEPEST = 0.3
"""At full strength an image is sheared by this share of its side, and moved by as much."""
_WIDEST = 30.0
"""At full strength an image is turned by so many degrees."""
_GEOMETRY, _LIGHT = 5, 5
_DRAWN = 2

Vary = Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]]


def variation(shift: float, asked: Settings | None) -> Vary:
    """Return what varies a batch of images.

    Parameters
    ----------
    shift
        Most that an image is moved, as a share of its side; its edges are repeated.
    asked
        Options of :data:`steelyard.learners.nets.augment.IMAGES`, complete; ``None`` for a shift alone.

    Returns
    -------
    callable
        From inputs of a net (uint8 ``image``, shape (n, channels, height, width)) and a generator to inputs: the image
        as uint8 or float32, both from 0 to 255, and with ``mixup`` for each image its ``partner`` and its own ``share``
        of the mixture.
    """
    options = asked or Settings()

    def vary(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        dice = Dice(generator, len(inputs[INPUT]))
        images = _placed(inputs[INPUT], shift, options, dice)
        images = _lit(images, options, dice)
        if side := options.number("cutout", 0.0):
            images = _blanked(images, side, dice)
        more = _partners(options.number("mixup", 0.0), dice)
        return {**inputs, INPUT: images, **more}

    return vary


class Dice:
    """Random numbers, one or a few for each image of a batch."""

    def __init__(self, generator: torch.Generator, images: int) -> None:
        self.generator, self.images = generator, images

    def within(self, most: float) -> Tensor:
        """Return numbers from ``-most`` to ``most``, shape (n,)."""
        return (2 * torch.rand(self.images, generator=self.generator) - 1) * most

    def half(self) -> Tensor:
        """Return true for half of the images, shape (n,)."""
        return torch.rand(self.images, generator=self.generator) < 0.5

    def whole(self, low: int, high: int) -> Tensor:
        """Return whole numbers from ``low`` to ``high``, shape (n,)."""
        return torch.randint(low, high + 1, (self.images,), generator=self.generator)

    def order(self) -> Tensor:
        """Return the images in another order, shape (n,)."""
        return torch.randperm(self.images, generator=self.generator)

    def beta(self, alpha: float) -> Tensor:
        """Return draws of a symmetric Beta distribution, shape (n,)."""
        # A ratio of Gammas, drawn by Johnk's method in blocks that this generator decides alone.
        shape = torch.full((self.images,), alpha)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=self.generator)))
            return torch.distributions.Beta(shape, shape).sample()


# ------------------------------------------------------------------------------------------------ places


def _placed(images: Tensor, shift: float, options: Settings, dice: Dice) -> Tensor:
    """Return images moved, mirrored, turned and cut; whole pixels are taken where that is enough."""
    height, width = images.shape[2:]
    strength = options.number("random", 0.0)
    turn, zoom = options.number("turn", 0.0), options.number("zoom", 0.0)
    if strength or turn or zoom:
        images = functional.grid_sample(
            images.float(),
            functional.affine_grid(_matrices(shift, turn, zoom, strength, dice), list(images.shape), False),
            padding_mode="border",
            align_corners=False,
        )
        ys, xs = (torch.arange(length).expand(dice.images, -1) for length in (height, width))
    else:
        ys, xs = (_moved(length, shift, dice) for length in (height, width))
    flip = options.get("flip", "none")
    if flip != "none":
        xs = torch.where(dice.half()[:, None], xs.flip(1), xs)
    if flip == "all":
        ys = torch.where(dice.half()[:, None], ys.flip(1), ys)
    every = torch.arange(dice.images)[:, None, None]
    images = images[every, :, ys[:, :, None], xs[:, None, :]].permute(0, 3, 1, 2)
    if flip == "all" and height == width:
        images = torch.where(dice.half()[:, None, None, None], images.transpose(2, 3), images)
    return images


def _moved(length: int, share: float, dice: Dice) -> Tensor:
    """Return which pixel each place shows, shape (n, length); edges are repeated."""
    most = round(share * length)
    return (torch.arange(length)[None, :] + dice.whole(-most, most)[:, None]).clamp(0, length - 1)


def _matrices(shift: float, turn: float, zoom: float, strength: float, dice: Dice) -> Tensor:
    """Return for each image where its places are taken from, shape (n, 2, 3), in halves of its sides."""
    angle, across, down = dice.within(math.radians(turn)), torch.zeros(dice.images), torch.zeros(dice.images)
    x, y = dice.within(2 * shift), dice.within(2 * shift)
    for _ in range(_DRAWN if strength else 0):
        drawn = dice.whole(0, _GEOMETRY + _LIGHT - 1)
        by = dice.within(strength)
        angle = angle + torch.where(drawn == 0, by * math.radians(_WIDEST), 0.0)
        across = across + torch.where(drawn == 1, by * _STEEPEST, 0.0)
        down = down + torch.where(drawn == 2, by * _STEEPEST, 0.0)
        x = x + torch.where(drawn == 3, 2 * by * _STEEPEST, 0.0)
        y = y + torch.where(drawn == 4, 2 * by * _STEEPEST, 0.0)
    kept = 1 - zoom * torch.rand(dice.images, generator=dice.generator)
    cos, sin = torch.cos(angle) * kept, torch.sin(angle) * kept
    rows = (cos + across * sin, across * cos - sin, x, sin + down * cos, cos - down * sin, y)
    return torch.stack(rows, dim=1).reshape(-1, 2, 3)


# ------------------------------------------------------------------------------------------------- light


def _lit(images: Tensor, options: Settings, dice: Dice) -> Tensor:
    """Return images in another light, float32 from 0 to 255; as they are where nothing is asked for."""
    colour, strength = options.number("colour", 0.0), options.number("random", 0.0)
    if not (colour or strength):
        return images
    images = images.float()
    if colour:
        images = _toned(images, dice.within(colour), dice.within(colour), dice.within(colour))
    for _ in range(_DRAWN if strength else 0):
        drawn, by = dice.whole(0, _GEOMETRY + _LIGHT - 1) - _GEOMETRY, dice.within(strength)
        light, contrast, tint = (torch.where(drawn == place, by, 0.0) for place in range(3))
        images = _toned(images, light, contrast, tint)
        images = _sharpened(images, torch.where(drawn == 3, by, 0.0))
        images = _coarse(images, torch.where(drawn == 4, by.abs(), 0.0))
    return images.clamp(0, MOST)


def _toned(images: Tensor, light: Tensor, contrast: Tensor, tint: Tensor) -> Tensor:
    """Return images brighter, richer in contrast and in colour by shares of shape (n,)."""
    light, contrast, tint = (one[:, None, None, None] for one in (light, contrast, tint))
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + tint)
    middle = grey.mean((2, 3), keepdim=True)
    return middle * (1 + light) + (images - middle) * (1 + contrast)


def _sharpened(images: Tensor, by: Tensor) -> Tensor:
    """Return images sharper, or softer where ``by``, shape (n,), is negative."""
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return images + (images - soft) * by[:, None, None, None]


def _coarse(images: Tensor, by: Tensor) -> Tensor:
    """Return images with fewer shades: at full strength, 1, with 16 of 256."""
    step = torch.exp2(torch.round(4 * by))[:, None, None, None]
    return torch.where(step > 1, torch.floor(images / step) * step, images)


# ------------------------------------------------------------------------------------- holes and mixtures


def _blanked(images: Tensor, side: float, dice: Dice) -> Tensor:
    """Return images with a square of their own mean somewhere; at the edges a part of it is outside."""
    height, width = images.shape[2:]
    half = [max(1, round(side * length)) / 2 for length in (height, width)]
    ys, xs = (
        (torch.arange(length)[None, :] + 0.5 - (dice.within(0.5) + 0.5)[:, None] * length).abs() <= most
        for length, most in zip((height, width), half, strict=True)
    )
    hole = (ys[:, :, None] & xs[:, None, :])[:, None]
    images = images.float()
    return torch.where(hole, images.mean((2, 3), keepdim=True), images)


def _partners(alpha: float, dice: Dice) -> dict[str, Tensor]:
    """Return with whom each image is to be mixed, and how much of itself it keeps."""
    return {PARTNER: dice.order(), SHARE: dice.beta(alpha)} if alpha else {}
