"""One training in progress: epochs, steps, what ends them, and what is kept to go on."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steelyard.contracts import Ints, Keeper, Meter, Shower
from steelyard.errors import SteelyardError
from steelyard.learners.nets import _state
from steelyard.learners.nets._average import Average
from steelyard.learners.nets._batches import Targets, mass_of, steps_of
from steelyard.learners.nets._clock import Clock
from steelyard.learners.nets._losses import TINY, Loss, usual_loss
from steelyard.learners.nets._machine import moved, out_of_memory, swept
from steelyard.learners.nets._shelf import Saved, Shelf
from steelyard.learners.nets._team import Team
from steelyard.learners.nets._walk import Walk
from steelyard.learners.nets.attack import hardened
from steelyard.learners.nets.course import Course, rows_at_once
from steelyard.learners.nets.judge import Judge
from steelyard.learners.nets.reading import Material

Vary = Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]]
"""Changes a training batch, on the CPU, with chance from the generator alone (augmentation)."""


EVERY = 1.0
"""Seconds between two losses that are shown."""
LOSSES = "loss.csv"


class Diverged(SteelyardError):
    """A training whose loss is no number any more."""


class NoCompiler(SteelyardError):
    """A net is to be compiled where no compiler is installed."""


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


class Training:
    """A net on its course; :meth:`run` trains it in place.

    Where several processes share it, all of them go through the same steps, each with its share of the rows; the one
    that leads has the judge and the clock, and the others end when it does.
    """

    def __init__(
        self,
        net: nn.Module,
        material: Material,
        targets: Targets,
        course: Course,
        *,
        team: Team,
        meter: Meter,
        vary: Vary | None,
        shelf: Shelf,
    ) -> None:
        self.net, self.material, self.targets, self.course = net.to(team.device), material, targets, course
        self.team, self.meter, self.vary, self.shelf = team, meter, vary, shelf
        _drop(net, course.dropout)
        # Hooks of a compiled net are not called, and an attack works by them.
        compiled = course.compiled and not hasattr(net, "attack")
        self.forward = team.wrapped(_compiled(net, material, team.device) if compiled else net)
        self.loss: Loss = getattr(net, "loss", None) or usual_loss(course.label_smoothing)
        self.at_once = rows_at_once(course.batch, len(material))
        self.a_step = self.at_once * course.accumulate
        self.walk = Walk(net, course)
        steps = max(1, math.ceil(len(material) / self.a_step))
        self.average = Average(net, course.average if team.rank == 0 else "none", steps, course.epochs)
        self.order = torch.Generator().manual_seed(course.seed)
        self.chance = torch.Generator().manual_seed(course.seed + 1_000_003 * team.rank)
        self.clock = Clock(meter)
        self.timed = bool(team.agreed(float(math.isfinite(meter.remaining()))))
        self.best = _state.Best()
        self.done, self.left = 0, course.epochs
        self.losses: list[float] = []
        self.shown_at = time.monotonic()
        self.aims: list[tuple[int, float]] = []

    def run(self, judge: Judge | None) -> Trained:
        """Go through the course, from where it was left."""
        self._take_up()
        before = self.done
        while self.left > 0:
            self._epoch()
            self.done, self.left = self.done + 1, self.left - 1
            if self.team.rank == 0:
                self._look(judge, self.done - before)
            self.left = int(self.team.agreed(self.left))
            if self.team.rank == 0 and self.shelf.due:
                self.shelf.save(_state.of(self))
        patient = self.course.patience > 0 and self.best.weights is not None
        waited = patient and self.done - self.best.epoch >= self.course.patience
        self.net.load_state_dict((self.best.weights if patient else None) or self.average.shown.state_dict())
        rounds = self.best.epoch if patient else self.done
        if isinstance(self.meter, Keeper):
            lines = [f"{epoch},{loss!r}" for epoch, loss in enumerate(self.losses, 1)]
            self.meter.keep(LOSSES, "\n".join(["epoch,loss", *lines, ""]).encode())
        return Trained(rounds, self.done < self.course.epochs and not waited, tuple(self.losses))

    def _take_up(self) -> None:
        """Go back to where an earlier attempt was killed, if it kept anything."""
        saved: Saved | None = self.shelf.load()
        if saved is None:
            return
        _state.take(self, saved)
        if self.team.rank == 0:
            self.meter.note(
                f"{self.course.learner} goes on after epoch {self.done} of {self.course.epochs}, from its checkpoint."
            )
            for epoch, aim in self.aims:
                if not self.meter.report(epoch, aim):
                    self.left = 0
        self.left = int(self.team.agreed(self.left))

    def _look(self, judge: Judge | None, done_here: int) -> None:
        """Judge the net after an epoch, and set how many are left."""
        shown = self.average.ended(self.walk.progress, self._inputs())
        if judge is not None and not self._judged(judge, shown):
            self.left = 0
            return
        affordable = self.clock.epochs_left(done_here)
        if affordable < self.left:
            name, most = self.course.learner, self.done + affordable
            self.meter.note(f"{name} stops after {most} of {self.course.epochs} epochs to keep its time.")
            self.left = affordable

    def _judged(self, judge: Judge, net: nn.Module) -> bool:
        """Judge a net and report; return whether to go on."""
        verdict, patience = judge(net), self.course.patience
        if patience > 0 and (verdict.loss < self.best.loss or self.best.weights is None):
            self.best = _state.Best(verdict.loss, self.done, _state.copied(net))
        if math.isfinite(verdict.aim):
            self.aims.append((self.done, verdict.aim))
            if not self.meter.report(self.done, verdict.aim):
                return False
        return patience == 0 or self.done - self.best.epoch < patience

    def _epoch(self) -> None:
        """Go over the rows once, or over as many as there is time for."""
        self.net.train()
        order = torch.randperm(len(self.material), generator=self.order).numpy()
        steps = steps_of(order, self.material.lengths, self.a_step, self.order)
        total, taken = torch.zeros((), device=self.team.device), 0
        planned = len(steps) * self.left
        for number, rows in enumerate(steps):
            if number and self.timed and number % self.team.look_every == 0:
                fitting = self.clock.steps_left(planned, len(steps))
                planned = int(self.team.agreed(_whole(fitting, len(steps), number)))
            if planned == 0:
                break
            total += self.step(rows, planned)
            taken += 1
            planned -= 1
            self._show(total, taken)
            self.clock.stepped()
            self.team.average(self.net, number + 1)
        self.team.average(self.net)
        mean = self.team.total(float(total)) / taken / (1 if self.team.shares_gradients else self.team.size)
        if not math.isfinite(mean):
            raise Diverged(
                f"{self.course.learner} diverged: its loss in epoch {len(self.losses) + 1} is {mean}; lower "
                f"`learning_rate` (now {self.course.learning_rate:g}), or limit gradients by `clip: 1`"
            )
        self.losses.append(mean)
        if isinstance(self.meter, Shower):
            self.meter.show(self.done + 1, mean)

    def _show(self, total: Tensor, taken: int) -> None:
        """Show the mean loss of the epoch so far, at most once a second; to ask for it makes a GPU wait."""
        if isinstance(self.meter, Shower) and time.monotonic() - self.shown_at >= EVERY:
            self.shown_at = time.monotonic()
            self.meter.show(self.done + 1, float(total) / taken)

    def step(self, rows: Ints, steps_left: int) -> Tensor:
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
        own, counts = self.team.share(rows)
        whole = mass_of(*self.targets.batch(rows if self.team.shares_gradients else own)).clamp_min(TINY)
        parts = np.array_split(own, math.ceil(len(own) / self.at_once))
        total = torch.zeros((), device=self.team.device)
        try:
            for number, part in enumerate(parts, 1):
                with self.team.alone(last=number == len(parts)):
                    total += self._backward(part, whole if counts else torch.full_like(whole, math.inf))
        except (RuntimeError, MemoryError) as problem:
            if self.team.size > 1 or not out_of_memory(problem):
                raise
            return None
        return total

    def _backward(self, rows: Ints, whole: Tensor) -> Tensor:
        """Add the gradient of some rows; return their share of the step's loss."""
        inputs, where = self.material.batch(rows), self.team.device
        if self.vary is not None:
            inputs = self.vary(inputs, self.chance)
        target, weights = self.targets.batch(rows)
        share = mass_of(target, weights) / whole
        target, weights = moved({"target": target, "weights": weights}, where).values()

        def lost(given: dict[str, Tensor]) -> Tensor:
            with torch.autocast(where.type, torch.bfloat16, enabled=self.course.precision == "bf16"):
                outputs = self.forward(given)
            return self.loss(outputs.float(), target, weights)

        loss = hardened(self.net, moved(inputs, where), lost) * share.to(where)
        # DistributedDataParallel takes the mean of the gradients of all; each is the share of one.
        (loss * (self.team.size if self.team.shares_gradients else 1)).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _halve(self, rows: int) -> None:
        """Take half as many rows at once from here on."""
        held = min(self.at_once, rows)
        if held == 1:
            raise MemoryError("a single row does not fit into memory")
        self.walk.forget()
        swept(self.team.device)
        self.at_once = math.ceil(held / 2)
        self.meter.note(
            f"{self.course.learner} ran out of memory at {held} rows at once and goes on with {self.at_once}, whose "
            "gradients are summed; each step is made of as many rows as before."
        )

    def _inputs(self) -> Iterator[dict[str, Tensor]]:
        """Yield every training row once, unvaried."""
        order = torch.randperm(len(self.material), generator=torch.Generator().manual_seed(self.course.seed)).numpy()
        for rows in steps_of(order, self.material.lengths, self.at_once, torch.Generator()):
            yield moved(self.material.batch(rows), self.team.device)


def _whole(left: int, steps: int, done: int) -> int:
    """Return of so many steps those that fill epochs, after some of one; fewer only where this one cannot be filled.

    Examples
    --------
    >>> _whole(25, steps=10, done=3), _whole(5, steps=10, done=3)
    (17, 5)
    """
    here = steps - done
    return left if left < here else here + (left - here) // steps * steps


def _drop(net: nn.Module, rate: float | None) -> None:
    """Set the rate of every dropout layer."""
    for module in net.modules():
        if rate is not None and isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001 - their common base
            module.p = rate


def _compiled(net: nn.Module, material: Material, on: torch.device) -> Any:
    if on.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise NoCompiler("compiling a net needs a C++ compiler, and there is none: install g++, or leave `compile` out")
    return torch.compile(net, dynamic=material.lengths is not None)
