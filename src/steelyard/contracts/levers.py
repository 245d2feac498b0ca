"""What makes a model better or cheaper: how a lever proposes moves, and what it does at each stage of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from steelyard.clock import Times
from steelyard.contracts.data import Answer, Columns, Floats, Schema, Split, Task
from steelyard.contracts.learners import Artefact, Learner, Meter, Prior, Space, Work
from steelyard.recipe import Plan, Recipe, Settings, Train
from steelyard.units import NO_TIME, Estimate, Seconds


class Stage(StrEnum):
    """Where in a model's life a lever acts."""

    DATA = "data"
    TRAINING = "training"
    SHRINKING = "shrinking"
    COMBINING = "combining"


class Ending(Enum):
    """How a trial ended, as a sentence."""

    MEASURED = "Measured."
    PRUNED = "Stopped early: it fell behind the better trials at the same step."
    BUDGET_SPENT = "Stopped by the deadline before it had anything to measure."
    OUT_OF_MEMORY = "Ran out of memory. Raise `budget.memory_gb`, or lower the rows with `subsample`."
    REFUSED = "Refused before it started."
    FAILED = "Failed."

    @property
    def usable(self) -> bool:
        """Whether there is a bundle and a measurement."""
        return self is Ending.MEASURED


@dataclass(frozen=True, slots=True)
class Beside:
    """Latency of one row over that of another bundle, the two called in turn: below 1 where it is faster."""

    p50: Estimate
    p95: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a bundle weighs on this machine: latency of one row, throughput, bytes, memory."""

    p50: Estimate
    p95: Estimate
    p99: Estimate
    """Latency of one row as a dict of named values to probabilities, in ms."""
    throughput: Estimate
    """Rows a second at ``batch`` rows a call."""
    batch: int
    size_bytes: int
    memory_bytes: Estimate
    """Growth of the process by loading and running the bundle."""
    threads: int
    calls: int
    mean: Estimate | None = None
    """Mean latency of one row in ms, calls beyond p99 counted as p99: how long a row keeps a replica busy, where some
    rows take another way than most. ``None`` in records that were made before it was measured."""
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """Of a shrunk model: by the digest of a recipe that it was made from, how its latency compares to that one's."""
    arithmetic: str = ""
    """What most of its time goes into: ``float``, ``int8`` or ``general``; empty where that was not looked at."""
    there: Mapping[str, Estimate] = field(default_factory=dict)
    """``p50``, ``p95``, ``p99`` and ``mean`` on the device that the spec names, ms, estimated from those here."""

    @property
    def busy(self) -> Estimate:
        """The time that one row keeps a replica busy, in ms."""
        return self.p50 if self.mean is None else self.mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One recipe, executed. ``lever`` is the lever that led to it, ``"start"`` for a learner's first training."""

    number: int
    recipe: Recipe
    lever: str
    ending: Ending
    note: str = ""
    validation: Mapping[str, Estimate] = field(default_factory=dict)
    protocol: str = ""
    """``"holdout"`` or ``"5-fold"``: which rows the validation figures come from."""
    rounds: tuple[int, ...] = ()
    """Rounds that each part (fold) took; empty where there are none."""
    curve: tuple[tuple[int, float], ...] = ()
    """What was reported to the meter: step and aim, higher better."""
    seconds: Seconds = NO_TIME
    cpu_seconds: Seconds = NO_TIME
    peak_bytes: int = 0
    """Most memory that the process of the trial held."""
    foreseen: Seconds = NO_TIME
    """What its prior said it would take."""
    weight: Weight | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    """By column, how much the loss rises when it is shuffled: log loss, or squared error over the target's variance.
    Empty where it was not measured."""
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    """How often each outcome came about in the validation rows (:mod:`steelyard.measure.outcomes`), plain JSON."""
    times: Times | None = None
    """Where its seconds went; ``None`` where it left nothing, or was run before there was a clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A recipe worth trying, with what it should cost and bring."""

    recipe: Recipe
    lever: str
    prior: Prior
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a lever may know when it proposes moves."""

    task: Task
    schema: Schema
    rows: int
    """Rows that train."""
    calibration_rows: int
    parts: int
    """How many trainings one trial costs: 1, or the number of folds."""
    trials: tuple[Trial, ...]
    """Every trial so far, in order, this one's own included."""
    space: Callable[[str], Space]
    """The settings of a learner, by its name."""
    learner: Callable[[str], Learner]
    seed: int = 0
    threads: int = 1
    unlabelled: int = 0
    """Rows without a target that a lever may learn from."""
    tolerance: float = 0.0
    """Loss of quality that counts as none, in units of the aim; of money, a share of the way from the constant model
    to the best."""


@runtime_checkable
class Lever(Protocol):
    """Anything that makes a model better or cheaper. Turns recipes into others, never edits what it is given."""

    name: str
    stage: Stage
    paper: str
    about: str

    def moves(self, trial: Trial, context: Context) -> Iterable[Move]:
        """Propose recipes one pull away from a measured trial; deterministic in its arguments."""
        ...


@runtime_checkable
class DataLever(Lever, Protocol):
    """Changes training rows and labels only; never validation rows, never columns.

    One with ``alters = True`` mends the data rather than choosing from them: what it made is taken only where a paired
    test finds it better than the same training without it.
    """

    def apply(self, split: Split, settings: Settings, work: Work, meter: Meter) -> Split:
        """Return the rows to train on."""
        ...


@runtime_checkable
class TrainingLever(Lever, Protocol):
    """Changes the plan of a training."""

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the changed plan."""
        ...


@runtime_checkable
class ShrinkingLever(Lever, Protocol):
    """Changes a finished graph.

    One with ``trains = True`` trains its weights again, and is given every row that the model was trained on; any other
    is given a sample of them.
    """

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return a cheaper artefact with the same inputs and output; ``split`` holds training rows to go by."""
        ...


@runtime_checkable
class DistillingLever(Lever, Protocol):
    """Shrinks by training a small model, the student, to answer like a finished one, its teacher.

    One whose students may also be cut out of their teacher's graph is a :class:`ShrinkingLever` too.
    """

    def student(self, settings: Settings) -> Train | None:
        """Return the training of the small model; ``None`` where ``apply`` cuts it out of its teacher's graph."""
        ...

    def teach(
        self, split: Split, teacher: Callable[[Columns], Answer], settings: Settings, work: Work, meter: Meter
    ) -> Split:
        """Return rows for the student: those of ``split``, which the teacher trained on, and others made of them.

        The target is what the teacher answers. Where that is classes, its probabilities are the rows' ``lesson``; for
        a learner that takes none, a row then stands there once for each class, with the probability as its weight.
        """
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """Out-of-sample answers of a combination's parents, on the rows that its rule may be fitted on."""

    answers: tuple[Answer, ...]
    target: NDArray[Any]
    weights: Floats | None = None


Rule = Mapping[str, Any]
"""How members' answers become one, as plain JSON with a ``"rule"`` key; run by :mod:`steelyard.bundle.rules`."""


@runtime_checkable
class CombiningLever(Lever, Protocol):
    """Joins finished bundles by a rule. ``fits_on`` names the rows it is fitted on.

    On ``"validation"`` rows the figures shown are cross-fitted: the rule is fitted without the rows it is scored
    on; the one that ships is fitted on all of them.
    """

    fits_on: str
    needs_rows: int
    """The least number of rows that the rule can be fitted on honestly."""

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return the rule."""
        ...
