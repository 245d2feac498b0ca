"""Tables by a few small neural nets that share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from steelyard.bundle.rules import answer_of
from steelyard.contracts import (
    Answer,
    Artefact,
    Columns,
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
from steelyard.learners._boosting import Scale
from steelyard.learners._directions import DIRECTIONS
from steelyard.learners._graph import Graph
from steelyard.learners._mlp_inputs import Cells, Inputs
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import ABSENT
from steelyard.learners._table import guess, refuse_tables, refuse_without, sums_of, text_settings
from steelyard.recipe import Plan, Settings
from steelyard.tasks import metric

if TYPE_CHECKING:
    from torch import Tensor

    from steelyard.learners._mlp_net import Net
    from steelyard.learners._mlp_train import Rows

PIECES, FEWEST_PIECES = 16, 8
"""Pieces of a number by default: between these, so that all numbers together have about :data:`CUT`."""
CUT = 144
"""More inputs than that made the net worse on tables of many numbers (vehicle, satimage), fewer on those of few."""
CATEGORY_WIDTH = 8
USUAL_EPOCHS = 40
"""Epochs after which early stopping ends a training with defaults, on the whole."""

SETTINGS: Mapping[str, Setting] = {
    "learning_rate": Setting(default=0.005, low=0.0005, high=0.02, log=True, about="Length of a step."),
    "weight_decay": Setting(default=0.01, low=0.001, high=1.0, log=True, about="Pull of weights towards zero."),
    "dropout": Setting(default=0.1, low=0.0, high=0.5, about="Share of what each layer makes that a step leaves out."),
    "width": Setting(default=128, options=(32, 64, 128, 256), unit="units", about="Units of a hidden layer."),
    "depth": Setting(default=2, low=1, high=4, unit="layers", about="Hidden layers."),
    "pieces": Setting(
        default=PIECES, low=4, high=64, log=True, about="Pieces that a number of many values is cut into."
    ),
    "category_width": Setting(
        default=CATEGORY_WIDTH, low=1, high=32, log=True, about="Numbers that stand for a category."
    ),
    "category_min_count": Setting(
        default=2, low=1, high=1000, log=True, unit="rows", about="Rows that a category needs for numbers of its own."
    ),
    "members": Setting(default=8, about="Nets that share weights and are averaged."),
    "epochs": Setting(default=150, about="Most times that training goes over the rows."),
    "patience": Setting(default=10, unit="epochs", about="Epochs without a lower loss after which training ends."),
    "batch": Setting(default=0, unit="rows", about="Rows a step; 0: a 24th of all, but 32 to 1024."),
}
"""The last four have no range: they trade time for quality, and tuning them would always take the time."""
CLASS_WEIGHT = Setting(
    default="none", options=("none", "balanced"), about="Whether a rare class weighs as much as any other."
)


class Mlp:
    """TabM-mini of Gorishniy et al., "TabM" (2024), on piecewise linear encodings, at the size of a few cores.

    Numbers are cut at their quantiles, missing ones are the median and flagged; frequent categories have numbers of
    their own, the others of a column share some. Text is seen along a few directions of its n-grams.
    """

    name = "mlp"
    honours = frozenset({"settings", "rounds", "features"})
    modules = ("torch", "torch._dynamo", "steelyard.learners._mlp_train")
    """What a worker loads ahead, so that no training waits for it; the first optimiser asks for the second."""
    about = "A neural net in PyTorch on numbers, categories and text: small ones that share weights, averaged."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse images, tables without features, and a machine without PyTorch."""
        del task
        return refuse_tables(self.name, schema) or refuse_without(self.name, "torch")

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the size of the net, the pace, and how columns are coded."""
        sorts = {} if task.problem is Problem.REGRESSION else {"class_weight": CLASS_WEIGHT}
        cut = {"pieces": replace(SETTINGS["pieces"], default=_pieces(schema))}
        return Space({**SETTINGS, **cut, **sorts, **text_settings(schema, most=20_000)})

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: weights of its hidden layers; more rounds make it no larger."""
        return settings.number("width", 128) ** 2 * settings.number("depth", 2)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the steps of a usual training and the inputs that they read."""
        words_only = len(schema.of(Kind.TEXT)) == len(schema.features)
        return guess(seconds=_seconds(task, schema, rows), gain=0.3 if words_only else 0.5)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train while the loss on ``valid`` falls, or for as many epochs as the plan says."""
        need("torch", for_="mlp")
        from steelyard.learners import _mlp_train as training  # noqa: PLC0415 - torch is loaded by what trains

        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        inputs, cells = Inputs.fit(plan, train, settings, work, meter)
        scale, weights = Scale.of(train, work.task), _weights(train, settings)
        course = training.Course(
            rows=_rows(cells),
            target=_target(train, scale),
            weights=_tensor(weights.astype(np.float32)),
            settings=settings,
            epochs=max(1, plan.rounds if plan.rounds is not None else int(settings.number("epochs", 1))),
            seed=work.seed,
        )
        with training.threads(work.threads):
            judge = None
            if plan.rounds is None and valid is not None:
                judge = _Judge(work.task, valid, scale, _rows(inputs.run(valid.columns, threads=work.threads)))
            net = _net(inputs, cells, settings, _offset(train, weights, work.task), work.seed)
            trained = training.train(net, course, judge, meter)
        net, epochs, stopped = trained.net, trained.epochs, trained.stopped
        return FittedMlp(inputs=inputs, net=net, scale=scale, work=work, rounds=epochs, stopped=stopped)


def _pieces(schema: Schema) -> int:
    """Return the pieces that a number is cut into by default: the fewer, the more numbers there are."""
    numbers = [c for c in schema.of(Kind.NUMBER, Kind.TIME) if c.distinct is None or c.distinct > 2]
    return max(FEWEST_PIECES, min(PIECES, CUT // max(1, len(numbers))))


def _seconds(task: Task, schema: Schema, rows: int) -> float:
    """Return the seconds that training should take on one core: the fixed part of steps, and products a row."""
    text = len(schema.of(Kind.TEXT))
    most = _pieces(schema)
    pieces = [min(column.distinct or most, most) for column in schema.of(Kind.NUMBER, Kind.TIME)]
    inputs = sum(pieces) + PIECES * DIRECTIONS * text + CATEGORY_WIDTH * len(schema.of(Kind.CATEGORY))
    steps = max(min(rows / 32, 24), rows / 1024)
    a_row = 2.4e-5 + 6e-8 * inputs + 1e-6 * sums_of(task)
    return 1 + 1e-3 * rows * text + USUAL_EPOCHS * (4e-3 * steps + a_row * rows)


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    import torch  # noqa: PLC0415 - as in fit

    return torch.from_numpy(array)


def _rows(cells: Cells) -> Rows:
    """Return what the net reads as tensors."""
    from steelyard.learners._mlp_train import Rows  # noqa: PLC0415 - as in fit

    return Rows(numbers=_tensor(cells[0]), codes=_tensor(cells[1]))


def _target(train: Split, scale: Scale) -> Tensor:
    """Return class codes, or values in standard deviations from their mean."""
    if np.issubdtype(train.target.dtype, np.floating):
        return _tensor(((train.target - scale.centre) / scale.spread).astype(np.float32))
    return _tensor(train.target)


def _weights(train: Split, settings: Settings) -> Floats:
    """Return row weights of mean 1; balanced, those of every class that is there have the same sum."""
    weights = np.ones(len(train)) if train.weights is None else train.weights
    if settings.get("class_weight") == "balanced":
        weights = weights / np.bincount(train.target, weights=weights)[train.target]
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _net(inputs: Inputs, cells: Cells, settings: Settings, offset: Floats, seed: int) -> Net:
    """Return an untrained net for these inputs."""
    from steelyard.learners._mlp_net import Net, Shape, pieces_of  # noqa: PLC0415 - as in fit

    number = settings.number
    shape = Shape(
        columns=inputs.level.width,
        members=max(1, int(number("members", 1))),
        width=int(number("width", 1)),
        depth=int(number("depth", 1)),
        category_width=int(number("category_width", 1)),
        codes=inputs.codes,
        outputs=len(offset),
    )
    return Net(shape, pieces_of(cells[0], int(number("pieces", 2))), offset, seed)


def _offset(train: Split, weights: Floats, task: Task) -> Floats:
    """Return the logits of the classes' shares, which the net starts from; nothing for values."""
    if task.problem is Problem.REGRESSION:
        return np.zeros(1)
    shares = np.bincount(train.target, weights=weights, minlength=task.width) / weights.sum()
    with np.errstate(divide="ignore"):
        logits: Floats = np.maximum(np.log(shares), ABSENT)
    return logits if task.problem is Problem.MULTICLASS else logits[1:] - logits[:1]


@dataclass(frozen=True, slots=True)
class _Judge:
    """Says how good a net is on validation rows, which are encoded once."""

    task: Task
    valid: Split
    scale: Scale
    rows: Rows

    def __call__(self, net: Net) -> Any:
        """Return the loss of the members' mean, and the aim."""
        from steelyard.learners._mlp_train import Verdict  # noqa: PLC0415 - as in fit

        scores = _scores(net, self.rows, self.scale, self.task)
        aim = metric(self.task.aim)
        value = aim.measure(self.task, self.valid.target, self._answer(scores), self.valid.weights)
        return Verdict(self._loss(scores), aim.higher_is_better(value))

    def _answer(self, scores: Floats) -> Answer:
        return answer_of(self.task, scores, self.valid.amounts)

    def _loss(self, scores: Floats) -> float:
        target = self.valid.target
        if self.task.problem is Problem.REGRESSION:
            losses = (scores[:, 0] - target) ** 2
        else:
            losses = -np.log(np.maximum(scores[np.arange(len(target)), target], 1e-12))
        return float(np.average(losses, weights=self.valid.weights))


def _scores(net: Net, rows: Rows, scale: Scale, task: Task) -> Floats:
    """Return the mean over members: of probabilities, or of values in the target's own unit."""
    from steelyard.learners._mlp_net import probabilities  # noqa: PLC0415 - as in fit
    from steelyard.learners._mlp_train import outputs_of  # noqa: PLC0415 - as in fit

    outputs = outputs_of(net, rows)
    made = outputs.mean(0).double() if task.problem is Problem.REGRESSION else probabilities(outputs)
    return scale.scores(made.numpy()[:, -1] if task.problem is Problem.BINARY else made.numpy(), task)


@dataclass(slots=True, kw_only=True)
class FittedMlp:
    """A trained net and what it reads."""

    inputs: Inputs
    net: Net = field(repr=False)
    scale: Scale
    work: Work
    rounds: int | None
    stopped: bool

    def scores(self, columns: Columns) -> Floats:
        """Return PyTorch's own scores."""
        from steelyard.learners._mlp_train import threads  # noqa: PLC0415 - as in fit

        with threads(self.work.threads):
            rows = _rows(self.inputs.run(columns, threads=self.work.threads))
            return _scores(self.net, rows, self.scale, self.work.task)

    def export(self) -> Artefact:
        """Return prelude, net and link as one graph."""
        from steelyard.learners._mlp_net import mean_of, nodes_of  # noqa: PLC0415 - as in fit

        graph, task = Graph(), self.work.task
        outputs = nodes_of(self.net, graph, *self.inputs.build(graph))
        scores = mean_of(graph, outputs, classes=len(task.classes))
        scores = self.scale.undo(graph, scores, task)
        scores = graph.add("Identity", scores, output="scores")
        model = graph.seal((scores, TensorProto.FLOAT, ["n", task.width]))
        return Artefact(model, self.inputs.feeds, self.inputs.files)
