"""Training of the net: batches, shifts, a learning rate that rises and falls once, and a clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from steelyard.contracts import Feed, Floats, Meter
from steelyard.learners._cnn_net import Net
from steelyard.recipe import Settings

AT_ONCE = 512
WARM_UP = 0.3
"""Share of the course in which the rate rises."""
START = 0.04
"""The rate at the start, as a share of the highest."""
KEPT_BACK = 0.05
"""Share of the time that is kept for exporting and scoring."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What one training is: pixels uint8 (n, channels, height, width), targets and weights of shape (n,)."""

    pixels: Tensor
    target: Tensor
    weights: Tensor
    settings: Settings
    epochs: int
    seed: int

    @property
    def batch(self) -> int:
        """Rows a step: fewer where rows are few, so that an epoch has some 25 steps."""
        return max(2, min(int(self.settings.number("batch", 128)), max(16, len(self.pixels) // 25)))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def made(feed: Feed, course: Course, outputs: int) -> Net:
    """Return an untrained net, the same for the same seed; PyTorch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(course.seed)
        width, blocks = (int(course.settings.number(k, 1)) for k in ("width", "blocks"))
        net = Net(feed, width, blocks, outputs)
    net.standardise(course.pixels)
    return net


def train(net: Net, course: Course, judge: Callable[[], float | None], meter: Meter) -> int:
    """Train in place and return how many epochs it took.

    ``judge`` says how good the net is on validation rows, higher better, or ``None`` where there are none.
    Ends early when the meter says so, or when its time runs out: the course is then shortened so that the learning
    rate still falls to zero.
    """
    clock = _Clock(meter)
    number = course.settings.number
    walk = _Walk(net, number("learning_rate", 0.0), number("weight_decay", 0.0))
    generator = torch.Generator().manual_seed(course.seed)
    done, left = 0, course.epochs
    while left > 0:
        for step in _epoch(walk, course, generator, left):
            if step and clock.over():
                break
        done, left = done + 1, left - 1
        value = judge()
        if value is not None and math.isfinite(value) and not meter.report(done, value):
            break
        affordable = clock.epochs_left(done)
        if affordable < left:
            meter.note(f"cnn stops after {done + affordable} of {course.epochs} epochs to keep its time.")
            left = affordable
    return done


class _Clock:
    """Tells how many more epochs there is time for."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, time.monotonic()
        left = meter.remaining()
        self._reserve = KEPT_BACK * left if math.isfinite(left) else 0.0

    def over(self) -> bool:
        """Whether what is left is needed for exporting."""
        return self._meter.remaining() <= self._reserve

    def epochs_left(self, done: int) -> int:
        """Return how many more fit in, going by the ``done`` ones."""
        left = self._meter.remaining() - self._reserve
        if math.isinf(left):
            return 2**31
        each = (time.monotonic() - self._start) / done
        return max(0, int(left / each))


class _Walk:
    """AdamW with a rate that rises to its highest and falls to zero over a course whose length may change.

    Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019; Smith, Topin: Super-Convergence, 2018.
    """

    def __init__(self, net: Net, rate: float, decay: float) -> None:
        self.net, self._rate, self._progress = net, rate, 0.0
        weights = [p for p in net.parameters() if p.ndim > 1]
        others = [p for p in net.parameters() if p.ndim <= 1]
        groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=rate)

    def step(self, loss: Tensor, steps_left: int) -> None:
        """Move the weights once, ``steps_left`` steps before the end, this one included."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * _share(self._progress)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch's own has no types
        self._optimiser.step()
        self._progress += (1 - self._progress) / steps_left


def _share(progress: float) -> float:
    """Return the rate as a share of the highest: two half cosines.

    Examples
    --------
    >>> [round(_share(p), 2) for p in (0, 0.3, 0.65, 1)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return START + (1 - START) * (1 - math.cos(math.pi * progress / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def _epoch(walk: _Walk, course: Course, generator: torch.Generator, epochs_left: int) -> Iterator[int]:
    """Go over the rows once; yields the number of each step."""
    net = walk.net.train()
    order = torch.randperm(len(course.pixels), generator=generator)
    batches = torch.tensor_split(order, max(1, math.ceil(len(order) / course.batch)))
    for step, rows in enumerate(batches):
        loss = _loss(net(_varied(course.pixels[rows], course.settings, generator)), course.target[rows])
        weights = course.weights[rows]
        walk.step((loss * weights).sum() / weights.sum(), len(batches) * epochs_left - step)
        yield step


def _loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the loss a row: cross-entropy for class codes, squared error for numbers."""
    if target.is_floating_point():
        return (output[:, 0] - target) ** 2
    return functional.cross_entropy(output, target, reduction="none")


def _varied(pixels: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """Return images moved by a few pixels, each its own way, and mirrored if asked; edges are repeated."""
    n, _, height, width = pixels.shape
    ys, xs = (_moved(n, length, settings.number("shift", 0.0), generator) for length in (height, width))
    if settings["mirror"]:
        flip = torch.rand(n, generator=generator) < 0.5
        xs = torch.where(flip[:, None], xs.flip(1), xs)
    return pixels[torch.arange(n)[:, None, None], :, ys[:, :, None], xs[:, None, :]].permute(0, 3, 1, 2)


def _moved(n: int, length: int, share: float, generator: torch.Generator) -> Tensor:
    """Return which pixel each place shows, shape (n, length)."""
    most = round(share * length)
    by = torch.randint(-most, most + 1, (n, 1), generator=generator)
    return (torch.arange(length)[None, :] + by).clamp(0, length - 1)


def outputs(net: Net, pixels: Tensor) -> Floats:
    """Return logits or values, float64 of shape (n, outputs)."""
    net = net.eval()
    with torch.inference_mode():
        parts = [net(pixels[i : i + AT_ONCE]) for i in range(0, len(pixels), AT_ONCE)]
        return torch.cat(parts).double().numpy().astype(np.float64)
