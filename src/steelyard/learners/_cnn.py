"""Images by a small residual net, trained from nothing on a few cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.rules import answer_of
from steelyard.clock import Phase, phase
from steelyard.contracts import (
    Artefact,
    Columns,
    Feed,
    Fitted,
    Floats,
    Kind,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.errors import need
from steelyard.learners._cnn_pictures import INPUT, feed_of
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess, refuse_without
from steelyard.recipe import Plan, Settings
from steelyard.tasks import metric

if TYPE_CHECKING:
    from steelyard.learners._cnn_net import Net

LONGEST_SIDE = 64
SECONDS_A_ROW = 0.0005
"""One image of 28 pixels a side through training once, on one core, in s."""

SETTINGS: Mapping[str, Setting] = {
    "epochs": Setting(default=12, low=4, high=40, log=True, about="Times that training goes over the rows."),
    "learning_rate": Setting(default=0.006, low=0.0005, high=0.03, log=True, about="Highest rate of the one cycle."),
    "weight_decay": Setting(default=0.02, low=0.0001, high=0.5, log=True, about="Pull of weights towards zero."),
    "width": Setting(default=16, options=(8, 16, 32), about="Channels of the first of three stages."),
    "blocks": Setting(default=1, options=(1, 2), about="Residual blocks a stage."),
    "shift": Setting(default=0.07, low=0.0, high=0.2, unit="of the side", about="Most that an image is moved."),
    "mirror": Setting(default=False, options=(False, True), about="Mirror half of the images; not for digits."),
    "batch": Setting(default=128, about="Most rows a step."),
    "size": Setting(default=None, low=8, high=512, unit="pixels", about="Longer side; unset: its own, 64 at most."),
}


class Cnn:
    """He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, at the size of a few cores.

    Reads one column of images, which are decoded once. BatchNorm is folded into the convolutions of the graph,
    and the scaling of pixels is its first node, so what ships takes uint8 pixels.
    """

    name = "cnn"
    honours = frozenset({"settings", "rounds"})
    modules = ("torch", "torch._dynamo", "steelyard.learners._cnn_train")
    """What a worker loads ahead, so that no training waits for it; the first optimiser asks for the second."""
    about = "Images by a small residual net in PyTorch, trained from nothing."
    weighty = True

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse a table that is not one column of images, and a machine without PyTorch."""
        del task
        images = schema.of(Kind.IMAGE)
        if not images:
            return Refusal(
                "cnn reads images, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of image files under `columns.image`."
            )
        others = [c.name for c in schema.features if c is not images[0]]
        if others:
            named = ", ".join(map(repr, others[:5]))
            return Refusal(
                f"cnn reads one column of images alone, and this table also has {named}; "
                "put what it may not read under `columns: {ignore: [...]}`."
            )
        return refuse_without(self.name, "torch")

    def space(self, task: Task, schema: Schema) -> Space:
        """Return its settings, the same for every task."""
        del task, schema
        return Space(SETTINGS)

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared channels, block by block; more rounds make it no larger."""
        return settings.number("width", 16) ** 2 * settings.number("blocks", 1)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training should cost: a fraction of a millisecond an image and epoch."""
        del task, schema
        return guess(seconds=5 + SECONDS_A_ROW * rows * int(str(SETTINGS["epochs"].default)), gain=0.9)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train for a fixed number of epochs, or as many as there is time for."""
        need("torch", for_="cnn")
        from steelyard.learners import _cnn_train as training  # noqa: PLC0415 - torch is loaded by what trains

        settings = settings_of(self.name, Space(SETTINGS), plan)
        feed = _feed(work.schema, train, settings)
        scale = _Scale.of(train, work.task)
        epochs = plan.rounds if plan.rounds is not None else int(settings.number("epochs", 1))
        course = training.Course(
            **_tensors(feed, train, scale), settings=settings, epochs=max(1, epochs), seed=work.seed
        )
        with training.threads(work.threads):
            net = training.made(feed, course, work.task.width)
            judge = _Judge(net, feed, scale, work.task, valid)
            rounds = training.train(net, course, judge, meter)
        made = _FittedNet(net=net, feed=feed, scale=scale, task=work.task, threads=work.threads, rounds=rounds)
        made.stopped = rounds < course.epochs
        return made


@dataclass(frozen=True)
class _Scale:
    """How numbers are brought to the size that a net learns well: by their mean and spread in training."""

    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, train: Split, task: Task) -> _Scale:
        if task.problem is not Problem.REGRESSION:
            return cls()
        spread = float(np.std(train.target))
        return cls(float(np.mean(train.target)), spread if spread > 0 else 1.0)

    def scores(self, outputs: Floats, task: Task) -> Floats:
        """Return probabilities, or values in the target's own unit."""
        if task.problem is Problem.REGRESSION:
            return outputs * self.spread + self.centre
        odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def _feed(schema: Schema, train: Split, settings: Settings) -> Feed:
    """Return the feed of the column of images, at the size asked for or at their own, up to a limit."""
    column = schema.of(Kind.IMAGE)[0].name
    given = settings["size"] is not None
    return feed_of(column, list(train.columns[column]), int(settings.number("size", LONGEST_SIDE)), given=given)


def _pixels(feed: Feed, columns: Columns) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return FRONT_ENDS[feed.front_end](feed, {})(columns)[INPUT]


@phase(Phase.PREPARING)
def _tensors(feed: Feed, train: Split, scale: _Scale) -> dict[str, Any]:
    """Return pixels, target and weights as tensors."""
    import torch  # noqa: PLC0415 - as in fit

    target = train.target
    if np.issubdtype(target.dtype, np.floating):
        target = ((target - scale.centre) / scale.spread).astype(np.float32)
    weights = np.ones(len(train)) if train.weights is None else train.weights
    return {
        "pixels": torch.from_numpy(_pixels(feed, train.columns)),
        "target": torch.from_numpy(target),
        "weights": torch.from_numpy(weights.astype(np.float32)),
    }


class _Judge:
    """Says how good a net is on validation rows, which are decoded once."""

    def __init__(self, net: Net, feed: Feed, scale: _Scale, task: Task, valid: Split | None) -> None:
        import torch  # noqa: PLC0415 - as in fit

        self._net, self._scale, self._task, self._valid = net, scale, task, valid
        self._pixels = None if valid is None else torch.from_numpy(_pixels(feed, valid.columns))

    def __call__(self) -> float | None:
        """Return the aim, higher better."""
        from steelyard.learners._cnn_train import outputs  # noqa: PLC0415 - as in fit

        if self._valid is None or self._pixels is None:
            return None
        scores = self._scale.scores(outputs(self._net, self._pixels), self._task)
        answer = answer_of(self._task, scores, self._valid.amounts)
        aim = metric(self._task.aim)
        return aim.higher_is_better(aim.measure(self._task, self._valid.target, answer, self._valid.weights))


@dataclass(slots=True, kw_only=True)
class _FittedNet:
    """A trained net and what it reads."""

    net: Net = field(repr=False)
    feed: Feed
    scale: _Scale
    task: Task
    threads: int
    rounds: int | None
    stopped: bool = False

    def scores(self, columns: Columns) -> Floats:
        """Return PyTorch's own scores."""
        import torch  # noqa: PLC0415 - as in fit

        from steelyard.learners._cnn_train import outputs, threads  # noqa: PLC0415 - as in fit

        with threads(self.threads):
            raw = outputs(self.net, torch.from_numpy(_pixels(self.feed, columns)))
        return self.scale.scores(raw, self.task)

    def export(self) -> Artefact:
        """Return the graph, from uint8 pixels to scores."""
        from steelyard.learners._cnn_net import graph_of  # noqa: PLC0415 - as in fit

        sorts = self.task.problem is not Problem.REGRESSION
        graph = graph_of(self.net, self.feed, probabilities=sorts, spread=self.scale.spread, centre=self.scale.centre)
        return Artefact(graph, (self.feed,))
