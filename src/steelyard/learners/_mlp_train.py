"""Training of the net for tables: a steady rate, the mean of late weights, and a clock."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from steelyard.contracts import Meter
from steelyard.learners._mlp_net import Net
from steelyard.recipe import Settings

STEPS = 24
"""Steps of an epoch that are aimed at, within the limits of :data:`BATCH`."""
BATCH = (32, 1024)
"""Fewest and most rows a step."""
WARM_UP = 2
"""Epochs in which the rate rises."""
MEMORY = 2
"""Epochs that the running mean of the weights looks back."""
AT_ONCE = 2048
"""Rows answered at once."""
RESERVE = 0.1
"""Share of the time spent so far that is kept for the export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows as tensors: numbers (n, columns), codes (n, columns of categories)."""

    numbers: Tensor
    codes: Tensor

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one training is: rows, targets and weights of shape (n,), and at most how many epochs."""

    rows: Rows
    target: Tensor
    weights: Tensor
    settings: Settings
    epochs: int
    seed: int

    @property
    def batch(self) -> int:
        """Rows a step. Grows smoothly with the rows, so that a refit on a few more of them takes as many steps."""
        asked = int(self.settings.number("batch", 0))
        least, most = BATCH
        return asked if asked > 0 else min(most, max(least, math.ceil(len(self.rows) / STEPS)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a net is on validation rows: the loss that decides when to stop, the aim (higher better) to report."""

    loss: float
    aim: float


Judge = Callable[[Net], Verdict]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class Trained:
    """The net to keep, after how many epochs it was had, and whether the deadline ended the training."""

    net: Net
    epochs: int
    stopped: bool = False


def train(net: Net, course: Course, judge: Judge | None, meter: Meter) -> Trained:
    """Train for the course's epochs or, with a judge, until its loss has not fallen for some; keep the best.

    What is judged and kept is the running mean of the weights, and the rate is steady: so the net after an epoch
    does not depend on how many were to follow. A refit for the epochs that early stopping found, or a training that
    the deadline ends, is therefore the beginning of the longer one, and needs no schedule of its own.
    """
    walk, clock = _Walk(net, course), _Clock(meter)
    best, least, patience = Trained(walk.mean, 0), math.inf, int(course.settings.number("patience", 1))
    for epoch in range(1, course.epochs + 1):
        if not walk.epoch(clock, epoch):
            return _cut_short(best if best.epochs else Trained(walk.mean, max(1, epoch - 1)), course, meter)
        if judge is None:
            best = Trained(walk.mean, epoch)
            continue
        verdict = judge(walk.mean)
        if verdict.loss < least or not best.epochs:
            best, least = Trained(copy.deepcopy(walk.mean), epoch), verdict.loss
        if math.isfinite(verdict.aim) and not meter.report(epoch, verdict.aim):
            return Trained(best.net, best.epochs, stopped=meter.remaining() <= 0)
        if epoch - best.epochs >= patience:
            break
    return best


def _cut_short(kept: Trained, course: Course, meter: Meter) -> Trained:
    meter.note(f"the deadline stopped the training; the net is that of epoch {kept.epochs} of at most {course.epochs}")
    return Trained(kept.net, kept.epochs, stopped=True)


class _Clock:
    """Tells whether what time is left is needed for the export."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, time.monotonic()

    def over(self) -> bool:
        return self._meter.remaining() <= RESERVE * (time.monotonic() - self._start)


class _Walk:
    """AdamW at a steady rate, and the running mean of the weights it passes.

    Loshchilov, Hutter, "Decoupled weight decay regularization" (2019). The mean stands for a falling rate: Izmailov
    et al., "Averaging weights leads to wider optima and better generalization" (2018).
    """

    def __init__(self, net: Net, course: Course) -> None:
        self.net, self.mean, self._course = net, copy.deepcopy(net), course
        number = course.settings.number
        self._rate, self._dropout = number("learning_rate", 0.0), number("dropout", 0.0)
        self._order = torch.Generator().manual_seed(course.seed)
        self._drop = np.random.Generator(np.random.SFC64(course.seed))
        self._steps, self._done = math.ceil(len(course.rows) / course.batch), 0
        heavy = [*net.weights, net.heads]
        light = [p for p in net.parameters() if all(p is not one for one in heavy)]
        groups = [{"params": heavy, "weight_decay": number("weight_decay", 0.0)}, {"params": light, "weight_decay": 0}]
        self._optimiser = torch.optim.AdamW(groups, lr=self._rate, fused=True)

    def epoch(self, clock: _Clock, number: int) -> bool:
        """Go over the rows once; return whether there was time for it. The first step is taken in any case."""
        order = torch.randperm(len(self._course.rows), generator=self._order)
        for step, rows in enumerate(torch.tensor_split(order, self._steps)):
            if clock.over() and (number > 1 or step > 0):
                return False
            self._step(rows)
        return True

    def _step(self, rows: Tensor) -> None:
        course = self._course
        outputs = self.net(course.rows.numbers[rows], course.rows.codes[rows], self._dropout, self._drop)
        loss = (loss_of(outputs, course.target[rows]) * course.weights[rows]).mean()
        self._done += 1
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * min(1.0, self._done / (WARM_UP * self._steps))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch's own has no types
        self._optimiser.step()
        share = max(1 / (MEMORY * self._steps), 10 / (self._done + 9))
        with torch.no_grad():
            for mean, now in zip(self.mean.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, min(1.0, share))


def loss_of(outputs: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each member and row, (members, n), of outputs (members, n, outputs)."""
    members, n, width = outputs.shape
    if width > 1:
        flat = functional.cross_entropy(outputs.reshape(-1, width), target.repeat(members), reduction="none")
        return flat.view(members, n)
    wanted = target.to(outputs.dtype).expand(members, n)
    if target.is_floating_point():
        return (outputs[:, :, 0] - wanted) ** 2
    return functional.binary_cross_entropy_with_logits(outputs[:, :, 0], wanted, reduction="none")


def outputs_of(net: Net, rows: Rows) -> Tensor:
    """Return the outputs of every member, (members, n, outputs)."""
    with torch.inference_mode():
        parts = [
            net(rows.numbers[start : start + AT_ONCE], rows.codes[start : start + AT_ONCE])
            for start in range(0, len(rows), AT_ONCE)
        ]
        return torch.cat(parts, 1)
