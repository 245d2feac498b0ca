"""Everything that one training of a net is told, gathered from settings and from the levers of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from steelyard.contracts import Setting
from steelyard.recipe import Plan, Scalar, Settings

OPTIMISERS = ("adamw", "adam", "sgd")
SCHEDULES = ("one-cycle", "cosine", "constant")
PRECISIONS = ("fp32", "bf16")
AVERAGES = ("none", "ema", "swa")
STEPS = 25
"""Steps of an epoch that a small data set gets, if need be by smaller batches."""
FEWEST = 16
"""Rows that a batch is not made smaller than for that."""

COURSE: Mapping[str, Setting] = {
    "epochs": Setting(default=12, low=2, high=60, log=True, about="Times that training goes over the rows."),
    "learning_rate": Setting(
        default=0.003, low=0.00003, high=0.03, log=True, about="Highest rate of Adam and AdamW; SGD takes ten times it."
    ),
    "weight_decay": Setting(default=0.01, low=0.0001, high=0.5, log=True, about="Pull of weights towards zero."),
    "optimiser": Setting(default="adamw", options=OPTIMISERS, about="How steps are made of gradients."),
    "batch": Setting(default=128, low=4, unit="rows", about="Most rows a batch; fewer where rows are few."),
    "clip": Setting(default=1.0, low=0.0, about="Greatest norm of a gradient; 0: any."),
}
"""The settings that all nets share; a family changes a default with :func:`dataclasses.replace`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one training is told.

    Attributes
    ----------
    epochs
        Times that it goes over the rows.
    batch
        Most rows that go through the net at once.
    accumulate
        Batches whose gradients are summed for one step.
    optimiser
        ``"adamw"``, ``"adam"`` (decay as L2) or ``"sgd"`` (Nesterov momentum 0.9; ten times the rate).
    learning_rate
        The highest one; ``schedule`` says how it rises (over ``warm_up``, a share of the course) and falls.
    clip
        Greatest norm of a gradient, 0 for any.
    label_smoothing
        Share of probability that is spread over all classes.
    dropout
        The rate of every dropout layer; ``None`` leaves those of the net.
    precision
        ``"bf16"`` runs forward and backward passes in bfloat16; weights stay float32.
    average
        ``"ema"`` or ``"swa"`` ships a mean of weights instead of the last ones.
    patience
        Epochs without a lower validation loss after which training ends and the best epoch is kept; 0 never ends.
    compiled
        Whether the net is compiled before training.
    processes
        Processes that share each step's rows.
    sync_every
        Steps after which processes average their weights; 1 shares every gradient instead.
    finder
        Whether the rate is looked for before training, ``learning_rate`` being the middle of the range.
    """

    learner: str = "net"
    epochs: int = 1
    batch: int = 128
    accumulate: int = 1
    optimiser: str = "adamw"
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    warm_up: float = 0.3
    schedule: str = "one-cycle"
    clip: float = 0.0
    label_smoothing: float = 0.0
    dropout: float | None = None
    precision: str = "fp32"
    average: str = "none"
    patience: int = 0
    compiled: bool = False
    processes: int = 1
    sync_every: int = 1
    finder: bool = False
    seed: int = 0


class Told(Settings):
    """The settings of a net, and beside them what the levers of its plan ask for.

    Examples
    --------
    >>> from steelyard.recipe import Step
    >>> told = Told(Settings(epochs=3), Plan(parts=(Step(lever="augment", settings=Settings(flip=True)),)))
    >>> told.number("epochs", 1), told.part("augment"), told.part("lora")
    (3.0, Settings(flip=True), None)
    """

    __slots__ = ("_parts",)

    def __init__(self, given: Mapping[str, Scalar], plan: Plan) -> None:
        super().__init__(given)
        self._parts: dict[str, Settings] = {step.lever: step.settings for step in plan.parts}

    def part(self, lever: str) -> Settings | None:
        """Return the settings of a lever's part; ``None`` where the plan has none."""
        return self._parts.get(lever)


Change = Callable[[Course, Settings], Course]


def _regularised(course: Course, asked: Settings) -> Course:
    dropout = asked.get("dropout")
    return replace(
        course,
        weight_decay=asked.number("weight_decay", course.weight_decay),
        label_smoothing=asked.number("label_smoothing", course.label_smoothing),
        dropout=course.dropout if dropout is None else asked.number("dropout", 0.0),
    )


_CHANGES: Mapping[str, Change] = {
    "mixed-precision": lambda c, s: replace(c, precision=str(s.get("precision", "bf16"))),
    "compile": lambda c, s: replace(c, compiled=bool(s.get("compiled", True))),
    "data-parallel": lambda c, s: replace(c, processes=int(s.number("processes", 2))),
    "local-sgd": lambda c, s: replace(
        c, processes=int(s.number("processes", 2)), sync_every=int(s.number("sync_every", 8))
    ),
    "gradient-accumulation": lambda c, s: replace(c, accumulate=int(s.number("batches", 4))),
    "early-stopping": lambda c, s: replace(c, patience=int(s.number("patience", 3))),
    "schedule": lambda c, s: replace(
        c, schedule=str(s.get("kind", c.schedule)), warm_up=s.number("warm_up", c.warm_up)
    ),
    "regularise": _regularised,
    "average": lambda c, s: replace(c, average=str(s.get("kind", "ema"))),
    "learning-rate-finder": lambda c, s: replace(c, finder=bool(s.get("find", True))),
}

HONOURS = frozenset({"settings", "rounds", *_CHANGES})
"""The parts of a plan that the loop itself carries out, for every net."""


def course_of(learner: str, settings: Settings, plan: Plan, seed: int) -> Course:
    """Return the course of a training.

    Parameters
    ----------
    learner
        Its name, for what the loop tells the user.
    settings
        Complete and checked, those of :data:`COURSE` among them.
    plan
        Its fixed rounds are the epochs, and end nothing early; its parts change the course.
    seed
        Of the order of rows, of what is dropped, and of how batches are varied.

    Examples
    --------
    >>> from steelyard.recipe import Step
    >>> plan = Plan(rounds=2, parts=(Step(lever="mixed-precision", settings=Settings(precision="bf16")),))
    >>> course = course_of("cnn", Settings(epochs=9, learning_rate=0.01), plan, 0)
    >>> course.epochs, course.precision
    (2, 'bf16')
    """
    given: dict[str, Any] = {name: settings[name] for name in COURSE if settings.get(name) is not None}
    course = Course(learner=learner, seed=seed, **given)
    for step in plan.parts:
        if step.lever in _CHANGES:
            course = _CHANGES[step.lever](course, step.settings)
    if plan.rounds is not None:
        course = replace(course, epochs=max(1, plan.rounds), patience=0)
    return replace(course, epochs=max(1, int(course.epochs)), batch=max(1, int(course.batch)))


def rows_at_once(batch: int, rows: int) -> int:
    """Return the rows of a batch: fewer where rows are few, so that an epoch has some :data:`STEPS` of them.

    Examples
    --------
    >>> rows_at_once(128, 10_000), rows_at_once(128, 1_000), rows_at_once(128, 20), rows_at_once(8, 20)
    (128, 40, 16, 8)
    """
    return max(1, min(batch, max(FEWEST, rows // STEPS)))
