"""The training of a net: epochs, batches, steps, and what ends them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steelyard.contracts import Floats, Ints, Meter
from steelyard.errors import SteelyardError
from steelyard.learners.nets._average import Average
from steelyard.learners.nets._batches import Targets, mass_of, rows_at_once, steps_of
from steelyard.learners.nets._clock import Clock
from steelyard.learners.nets._losses import TINY, Loss, usual_loss
from steelyard.learners.nets._machine import device, moved, out_of_memory, quick, seeded, swept
from steelyard.learners.nets._walk import Walk
from steelyard.learners.nets.attack import hardened
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.judge import Judge
from steelyard.learners.nets.reading import Material

Vary = Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]]
"""Changes a training batch, on the CPU, with chance from the generator alone (augmentation)."""


class Diverged(SteelyardError):
    """A training whose loss is no number any more."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training went; the net was changed in place.

    Attributes
    ----------
    rounds
        Epochs that the net took: those done, or with patience the best one.
    stopped
        Whether the deadline, or the meter, ended it before its course was over.
    losses
        Mean training loss of each epoch that was done.
    """

    rounds: int
    stopped: bool
    losses: tuple[float, ...] = ()


def train(
    net: nn.Module,
    material: Material,
    target: NDArray[Any],
    weights: Floats | None,
    course: Course,
    *,
    judge: Judge | None,
    meter: Meter,
    vary: Vary | None = None,
) -> Trained:
    """Train a net in place; the same arguments on the same machine give the same weights.

    Ends early when the meter says so, when patience is at its end, or when time runs out: the course is then shortened
    so that the learning rate still falls to where its schedule ends. A batch that memory cannot hold is taken in
    halves whose gradients are summed; the meter is told.

    Parameters
    ----------
    net
        From a dict of inputs to logits or values, shape (n, width), or (n, tokens, classes) for tokens. It may bring
        ``groups(course)``, the parameter groups of the optimiser (a group's ``lr`` is its highest rate), and
        ``loss(outputs, target, weights)``, the weighted mean over known targets. Left on the CPU, in evaluation mode.
    material
        The rows.
    target
        As :class:`~steelyard.learners.nets._batches.Targets` takes it; numbers in the scale of training.
    weights
        One positive number a row; ``None``: all weigh the same.
    course
        What is asked.
    judge
        Says how good the net is after each epoch; ``None`` where there are no validation rows.
    meter
        Is told the aim after each epoch, and notes.
    vary
        Changes each training batch.

    Raises
    ------
    Diverged
        If the loss is no finite number.
    MemoryError
        If memory does not hold a single row.
    """
    on = device()
    with seeded(course.seed, on), quick(on):
        training = _Training(net, material, Targets(target, weights), course, meter=meter, vary=vary)
        trained = training.run(judge)
    net.cpu().eval()
    return trained


@dataclass(slots=True)
class _Best:
    """The best epoch so far by the loss on validation rows, with its weights."""

    loss: float = math.inf
    epoch: int = 0
    weights: dict[str, Tensor] | None = None


class _Training:
    """One training in progress."""

    def __init__(
        self,
        net: nn.Module,
        material: Material,
        targets: Targets,
        course: Course,
        *,
        meter: Meter,
        vary: Vary | None,
    ) -> None:
        self.device = device()
        self.net, self.material, self.targets = net.to(self.device), material, targets
        self.course, self.vary, self.meter = course, vary, meter
        # Hooks of a compiled net are not called, and an attack works by them.
        compiled = course.compiled and not hasattr(net, "attack")
        self.forward: Callable[[dict[str, Tensor]], Tensor] = _compiled(net, material) if compiled else net
        _drop(net, course.dropout)
        self.loss: Loss = getattr(net, "loss", None) or usual_loss(course.label_smoothing)
        self.at_once = rows_at_once(course.batch, len(material))
        self.a_step = self.at_once * course.accumulate
        self.walk = Walk(net, course)
        self.average = Average(net, course.average, max(1, math.ceil(len(material) / self.a_step)))
        self.generator = torch.Generator().manual_seed(course.seed)
        self.clock = Clock(meter)
        self.best = _Best()
        self.losses: list[float] = []

    def run(self, judge: Judge | None) -> Trained:
        """Go through the course."""
        done, left, course = 0, self.course.epochs, self.course
        shown: nn.Module = self.net
        while left > 0:
            self._epoch(left)
            done, left = done + 1, left - 1
            shown = self.average.ended(self.walk.progress, self._inputs())
            if judge is not None and not self._judged(judge, shown, done):
                break
            affordable = self.clock.epochs_left(done)
            if affordable < left:
                self.meter.note(
                    f"{course.learner} stops after {done + affordable} of {course.epochs} epochs to keep its time."
                )
                left = affordable
        patient = course.patience > 0 and self.best.weights is not None
        waited = patient and done - self.best.epoch >= course.patience
        self.net.load_state_dict((self.best.weights if patient else None) or shown.state_dict())
        rounds = self.best.epoch if patient else done
        return Trained(rounds, stopped=done < course.epochs and not waited, losses=tuple(self.losses))

    def _judged(self, judge: Judge, net: nn.Module, done: int) -> bool:
        """Judge the net of an epoch; return whether to go on."""
        verdict = judge(net)
        if self.course.patience > 0 and (verdict.loss < self.best.loss or self.best.weights is None):
            self.best = _Best(verdict.loss, done, copy.deepcopy(net.state_dict()))
        if math.isfinite(verdict.aim) and not self.meter.report(done, verdict.aim):
            return False
        return self.course.patience == 0 or done - self.best.epoch < self.course.patience

    def _epoch(self, epochs_left: int) -> None:
        """Go over the rows once, or over as many as there is time for."""
        self.net.train()
        order = torch.randperm(len(self.material), generator=self.generator).numpy()
        steps = steps_of(order, self.material.lengths, self.a_step, self.generator)
        total, taken = torch.zeros((), device=self.device), 0
        for number, rows in enumerate(steps):
            total += self._step(rows, len(steps) * epochs_left - number)
            taken += 1
            if number and self.clock.over():
                break
        mean = float(total) / taken
        if not math.isfinite(mean):
            raise Diverged(
                f"{self.course.learner} diverged: its loss in epoch {len(self.losses) + 1} is {mean}; lower "
                f"`learning_rate` (now {self.course.learning_rate:g}), or limit gradients by `clip: 1`"
            )
        self.losses.append(mean)

    def _step(self, rows: Ints, steps_left: int) -> Tensor:
        """Move the weights once by the gradient of some rows; return their loss."""
        loss = self._gradient(rows)
        while loss is None:
            self._halve(len(rows))
            loss = self._gradient(rows)
        self.walk.step(steps_left)
        self.average.stepped()
        return loss

    def _gradient(self, rows: Ints) -> Tensor | None:
        """Sum the gradients of as many rows at once as memory is known to hold; ``None`` if it does not."""
        self.walk.forget()
        whole = mass_of(*self.targets.batch(rows)).clamp_min(TINY)
        total = torch.zeros((), device=self.device)
        try:
            for part in np.array_split(rows, math.ceil(len(rows) / self.at_once)):
                total += self._backward(part, whole)
        except (RuntimeError, MemoryError) as problem:
            if not out_of_memory(problem):
                raise
            return None
        return total

    def _backward(self, rows: Ints, whole: Tensor) -> Tensor:
        """Add the gradient of some rows; return their share of the step's loss."""
        inputs = self.material.batch(rows)
        if self.vary is not None:
            inputs = self.vary(inputs, self.generator)
        target, weights = self.targets.batch(rows)
        share = mass_of(target, weights) / whole
        target, weights = moved({"target": target, "weights": weights}, self.device).values()

        def lost(given: dict[str, Tensor]) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.course.precision == "bf16"):
                outputs = self.forward(given)
            return self.loss(outputs.float(), target, weights)

        loss = hardened(self.net, moved(inputs, self.device), lost) * share.to(self.device)
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch's own has no types
        return loss.detach()

    def _halve(self, rows: int) -> None:
        """Take half as many rows at once from here on."""
        held = min(self.at_once, rows)
        if held == 1:
            raise MemoryError("a single row does not fit into memory")
        self.walk.forget()
        swept(self.device)
        self.at_once = math.ceil(held / 2)
        self.meter.note(
            f"{self.course.learner} ran out of memory at {held} rows at once and goes on with {self.at_once}, whose "
            "gradients are summed; each step is made of as many rows as before."
        )

    def _inputs(self) -> Iterator[dict[str, Tensor]]:
        """Yield every training row once, unvaried."""
        order = torch.randperm(len(self.material), generator=torch.Generator().manual_seed(self.course.seed)).numpy()
        for rows in steps_of(order, self.material.lengths, self.at_once, torch.Generator()):
            yield moved(self.material.batch(rows), self.device)


def _drop(net: nn.Module, rate: float | None) -> None:
    """Set the rate of every dropout layer."""
    for module in net.modules():
        if rate is not None and isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001 - their common base
            module.p = rate


def _compiled(net: nn.Module, material: Material) -> Callable[[dict[str, Tensor]], Tensor]:
    made: Callable[[dict[str, Tensor]], Tensor] = torch.compile(net, dynamic=material.lengths is not None)
    return made
