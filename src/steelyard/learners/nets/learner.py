"""The base of learners that are nets: a family says what it reads and what its net is, and this does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from steelyard.clock import Phase, phase
from steelyard.contracts import (
    Columns,
    Fitted,
    Meter,
    Prior,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.errors import need
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.learners.nets.course import COURSE, HONOURS, Told, course_of
from steelyard.learners.nets.reading import Material, Reading
from steelyard.learners.nets.scale import Scale
from steelyard.recipe import Plan, Settings

SELF_SUPERVISED = "self-supervised"
"""The lever by which a net learns from rows before it is told any target."""

if TYPE_CHECKING:
    from torch import nn

    from steelyard.learners.nets.export import Axes
    from steelyard.learners.nets.judge import Judge
    from steelyard.learners.nets.loop import Vary


class NetLearner(ABC):
    """Trains a net that a family makes, on what it reads.

    A family has at least ``name``, ``about``, :meth:`accepts`, :meth:`reading` and :meth:`net`. What it is given as
    ``settings`` is complete and checked, and knows the parts of the plan: ``settings.part("augment")`` are the settings
    of that lever, or ``None``. A lever that the loop does not carry out itself has to be added to ``honours``.

    Attributes
    ----------
    settings
        The family's own and those of :data:`~steelyard.learners.nets.course.COURSE`.
    seconds_a_row
        What one row costs to go through training once, on one core, in s; for the prior.
    gain
        The share of the way to a perfect model that it is expected to bring, for the prior.
    """

    name: str
    about: str
    honours: frozenset[str] = HONOURS
    settings: Mapping[str, Setting] = COURSE
    modules: ClassVar[tuple[str, ...]] = ("torch", "torch._dynamo", "steelyard.learners.nets.loop")
    """What a worker loads ahead, so that no training waits for it; the first optimiser asks for the second."""
    weighty = True
    takes_lessons = True
    """Whether it learns from :class:`~steelyard.contracts.Lesson`; rows are unrolled for a learner that does not."""
    seconds_a_row: float = 0.0005
    gain: float = 0.7

    @abstractmethod
    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Say why this family cannot do a task, or ``None``."""

    @abstractmethod
    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Return how columns are read, learned from training rows."""

    @abstractmethod
    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return an untrained net; PyTorch's generator stands at the seed, so it is the same each time."""

    def completed(self, settings: Settings, rows: int) -> Settings:
        """Return settings with what was left open decided by the number of training rows."""
        del rows
        return settings

    def vary(self, settings: Told) -> Vary | None:
        """Return what changes a training batch; ``None`` for nothing."""
        del settings
        return None

    def prepare(self, net: nn.Module, material: Material, settings: Told, work: Work, meter: Meter) -> None:
        """Do in place what comes before a net is trained: statistics of its inputs, weights from elsewhere.

        ``material`` are the training rows, and rows without a target too where the plan asks to learn without one.
        """
        del net, material, settings, work, meter

    def conclude(self, net: nn.Module, judge: Judge | None, settings: Told, meter: Meter) -> None:
        """Tell the meter what there is to say of a trained net; ``judge`` has the validation rows, if there are any."""
        del net, judge, settings, meter

    def scale(self, train: Split, work: Work) -> Scale:
        """Return the scale in which numbers are learned: mean and spread of the target."""
        return Scale.of(train, work.task)

    def axes(self, reading: Reading, settings: Told) -> Axes | None:
        """Return the axes of any length of each input, where they are not rows and the second one of ragged inputs."""
        del reading, settings
        return None

    def space(self, task: Task, schema: Schema) -> Space:
        """Return its settings, the same for every task."""
        del task, schema
        return Space(self.settings)

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve, in any unit; more rounds make it no larger."""
        del settings
        return 1.0

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training should cost: a time a row and epoch, beside some seconds that any net takes."""
        del task, schema
        usual = Settings({name: self.settings[name].default for name in ("epochs", "batch")})
        epochs = self.completed(usual, rows).number("epochs", 1)
        return guess(seconds=5 + self.seconds_a_row * rows * epochs, gain=self.gain)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train for as many epochs as were asked for, or as there is time for."""
        for package in ("torch", "safetensors"):
            need(package, for_=self.name)
        from steelyard.learners.nets import fitted, judge, lessons, loop  # noqa: PLC0415 - torch is loaded by what trains
        from steelyard.learners.nets._machine import seeded, threads  # noqa: PLC0415 - as above

        asked = settings_of(self.name, self.space(work.task, work.schema), plan)
        settings = Told(self.completed(asked, len(train)), plan)
        course, scale = course_of(self.name, settings, plan, work.seed), self.scale(train, work)
        with threads(work.threads):
            seen = seen_before(train, settings, work)
            reading = self.reading(seen, work, settings)
            material = _ready(reading, train.columns)
            with seeded(work.seed):
                net = self.net(reading, work.task, settings)
                whole = material if seen is train else _ready(reading, seen.columns)
                self.prepare(net, whole, settings, work, meter)
            verdicts = None
            if valid is not None:
                verdicts = judge.Judge(work.task, valid, _ready(reading, valid.columns), scale)
            target, vary = scale.target(train.target), self.vary(settings)
            if train.lesson is not None:
                target = lessons.targets_of(train, train.lesson)
                setattr(net, "loss", lessons.lesson_loss(train.lesson.temperature, course.label_smoothing))  # noqa: B010 - PyTorch types attributes as modules
            trained = loop.train(net, material, target, train.weights, course, judge=verdicts, meter=meter, vary=vary)
            self.conclude(net, verdicts, settings, meter)
        return fitted.FittedNet(
            net=net,
            reading=reading,
            task=work.task,
            scale=scale,
            threads=work.threads,
            rounds=trained.rounds,
            stopped=trained.stopped,
            example=fitted.example_of(train),
            axes=self.axes(reading, settings),
            losses=trained.losses,
        )


def seen_before(train: Split, settings: Told, work: Work) -> Split:
    """Return what a net may see before it is told any target: every row, if its plan learns without one."""
    more = None if settings.part(SELF_SUPERVISED) is None else work.unlabelled
    if more is None or not train.columns.keys() <= more.columns.keys():
        return train
    columns = {name: np.concatenate([cells, more.columns[name]]) for name, cells in train.columns.items()}
    count = len(train) + len(more)
    return Split(columns, np.zeros(count), np.arange(count))


@phase(Phase.PREPARING)
def _ready(reading: Reading, columns: Columns) -> Material:
    return reading.material(columns)
