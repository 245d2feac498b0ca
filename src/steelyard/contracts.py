"""What everything below shares: plain records, and the protocols that learners, levers and meters keep.

Nothing here computes. A learner or a lever of your own needs this file, :mod:`steelyard.recipe` and a line in
``pyproject.toml``; the suites in :mod:`steelyard.testing` tell whether it keeps its promises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.clock import Times
from steelyard.recipe import Plan, Recipe, Scalar, Settings, Train
from steelyard.units import NO_TIME, Estimate, Money, Seconds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
"""Named columns of equal length: NUMBER and TIME float64 (NaN is missing; TIME in epoch seconds), CATEGORY
object of ``str | None``, TEXT object of ``str`` (``""`` is missing), IMAGE object (a path, ``archive.zip::member``,
``bytes``, a uint8 array or a PIL image)."""


# ---------------------------------------------------------------------------------------------- data


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"
    IMAGE = "image"
    TIME = "time"
    ID = "id"
    CONSTANT = "constant"


FEATURES = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.TEXT, Kind.IMAGE, Kind.TIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column as it was seen before the split: its kind, share of missing cells, number of distinct values."""

    name: str
    kind: Kind
    missing: float = 0.0
    distinct: int = 0
    low: float | None = None
    high: float | None = None
    spaced: bool = True
    """For TEXT: whether words are separated by spaces (English) or not (Chinese, Japanese, Thai)."""
    price: Money | None = None
    notation: str = ""
    """How numbers or dates are written where that is not plain: ``"1.234,5 €"``, ``"day/month/year"``; see
    :mod:`steelyard.data.numerals` and :mod:`steelyard.data.dates`."""
    lenient: bool = False
    """Whether cells that are no number (no time) count as missing, because a few of them did in training."""
    why: str = ""
    """How the kind was found: inferred by which rule, or given in the spec."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, target and weight excluded, in the order of the source."""

    columns: tuple[Column, ...]

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns that a model may read: neither ids nor constants."""
        return tuple(c for c in self.columns if c.kind in FEATURES)

    def of(self, *kinds: Kind) -> tuple[Column, ...]:
        """Return the columns of some kinds."""
        return tuple(c for c in self.columns if c.kind in kinds)


class Problem(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


Matrix = tuple[tuple[float, ...], ...]
"""Money per outcome: ``[true class][decided class]`` or, of a predicted number: a unit too much, too little."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A column that holds the money at stake in each row, and the share of it that each outcome brings.

    ``times`` is laid out as ``Task.value``. ``means`` (by true class; of a predicted number one) and ``high`` are the
    column's mean and its largest amount in the rows that are not test rows.
    """

    column: str
    times: Matrix
    known: bool = False
    """Whether it is known when a decision is made: then it is an input, and decides row by row. Otherwise the mean of
    each class decides, and the amounts only count what decisions brought."""
    means: tuple[float, ...] = ()
    high: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be predicted, and what counts as good.

    ``aim`` names the metric that choosing maximises (or minimises, as the metric itself knows). ``value`` holds money
    per decision in ``currency``: ``value[true class][decided class]`` for classification, and
    ``((a unit too much, a unit too little),)`` for regression; ``amounts`` what columns of the data add to it.
    """

    problem: Problem
    target: str
    aim: str
    classes: tuple[str, ...] = ()
    positive: str | None = None
    """The class that precision, recall, F1, PR AUC and the threshold speak of; binary only."""
    value: Matrix | None = None
    currency: str = "USD"
    amounts: tuple[Amount, ...] = ()

    @property
    def width(self) -> int:
        """Number of score columns: one a class, or one."""
        return len(self.classes) or 1


@dataclass(frozen=True, slots=True)
class Split:
    """Some rows of a data set.

    ``target`` holds int64 class codes (indices into ``task.classes``) or float64; ``rows`` the 0-based row
    numbers in the source; ``weights`` one positive float64 a row, or ``None``; ``amounts``, shape (n, amounts of the
    task), the money at stake in each row, or ``None`` where the task has none.
    """

    columns: Columns
    target: NDArray[Any]
    rows: Ints
    weights: Floats | None = None
    amounts: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any]) -> Split:
        """Return the rows that an index array or a mask selects."""
        picked = {name: values[index] for name, values in self.columns.items()}
        weights = None if self.weights is None else self.weights[index]
        amounts = None if self.amounts is None else self.amounts[index]
        return Split(picked, self.target[index], self.rows[index], weights, amounts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle says of some rows.

    ``scores`` has shape (n, classes) and holds probabilities, or shape (n, 1) and holds predicted values;
    ``decided`` has shape (n,): the class code decided on, or the predicted value.
    """

    scores: Floats
    decided: NDArray[Any]
    members: Ints | None = None
    """Of a cascade which member answered each row, from 0, shape (n,); otherwise ``None``."""
    amounts: Floats | None = None
    """The money at stake in each row, shape (n, amounts of the task); NaN where a bundle does not read the column."""

    def take(self, index: NDArray[Any] | slice) -> Answer:
        """Return the rows that an index array, a mask or a slice selects."""
        members = None if self.members is None else self.members[index]
        amounts = None if self.amounts is None else self.amounts[index]
        return Answer(self.scores[index], self.decided[index], members, amounts)


# ------------------------------------------------------------------------------------------ learners


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be done, as one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a learner: its default and the range that makes sense."""

    default: Scalar
    low: float | None = None
    high: float | None = None
    log: bool = False
    options: tuple[Scalar, ...] = ()
    unit: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """The settings of a learner by name."""

    settings: Mapping[str, Setting] = field(default_factory=dict)

    def default(self, name: str) -> Scalar:
        """Return one default."""
        return self.settings[name].default

    def complete(self, given: Settings) -> Settings:
        """Return every setting: the given ones, and defaults for the rest."""
        return Settings({k: s.default for k, s in self.settings.items()} | dict(given))


@runtime_checkable
class Meter(Protocol):
    """How work in progress talks to whoever pays for it. One meter belongs to one job."""

    def report(self, step: int, value: float) -> bool:
        """Say how good the model is after ``step``; ``value`` is the aim, higher better. Return whether to go on."""
        ...

    def remaining(self) -> Seconds:
        """Tell how much time is left; infinite where there is no deadline."""
        ...

    def note(self, sentence: str) -> None:
        """Record something the user should know (a fallback, a cap); it becomes a line of the ledger."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """A meter that also keeps files beside what a trial leaves; one that does not loses them."""

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file for the part in progress; a later one of the same name replaces it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Everything a learner or a lever needs to know beside the rows."""

    task: Task
    schema: Schema
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Feed:
    """How named columns become the input tensors of a graph.

    ``front_end`` is a name in :data:`steelyard.bundle.front_ends.FRONT_ENDS`; ``inputs`` the graph inputs it
    fills; ``columns`` what it reads; ``options`` plain JSON (sizes, n-gram ranges, the file of a vocabulary).
    """

    front_end: str
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artefact:
    """What a trained model exports: one ONNX graph, its feeds, and the files that those need.

    The graph's single output is ``scores``, float32, shape (n, classes) of probabilities or (n, 1).
    """

    graph: bytes
    feeds: tuple[Feed, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)


class Fitted(Protocol):
    """A trained model, still in its framework.

    One whose training the deadline cut short has an attribute ``stopped`` that is true.
    """

    rounds: int | None
    """How many rounds it took; a refit repeats that number. ``None`` where there are no rounds."""

    def scores(self, columns: Columns) -> Floats:
        """Return the framework's own scores, for the parity check against the exported bundle."""
        ...

    def export(self) -> Artefact:
        """Return the graph that ships."""
        ...


@dataclass(frozen=True, slots=True)
class Prior:
    """What a move should cost (seconds of one core) and bring, before anything was measured.

    ``gain`` is a share of the way from the constant model to a perfect one, from 0 to 1.
    """

    seconds: Estimate
    gain: Estimate


@runtime_checkable
class Learner(Protocol):
    """A family of models. Fits a plan on columns, exports a graph.

    Instances hold no state between calls and may be used from several processes. ``honours`` are the parts of
    a plan that it understands (``"settings"``, ``"rounds"``, or the name of a training lever); any other part
    is refused by the caller, never ignored.
    """

    name: str
    honours: frozenset[str]
    about: str

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Say why this family cannot do a task, or ``None``."""
        ...

    def space(self, task: Task, schema: Schema) -> Space:
        """Return its settings with defaults and ranges."""
        ...

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training with defaults should cost and bring."""
        ...

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train on ``train``; ``valid`` serves early stopping alone and is ``None`` when rounds are fixed."""
        ...


# -------------------------------------------------------------------------------------------- levers


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
    """Changes a finished graph."""

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return a cheaper artefact with the same inputs and output; ``split`` holds rows to calibrate on."""
        ...


@runtime_checkable
class DistillingLever(Lever, Protocol):
    """Shrinks by training a small model, the student, to answer like a finished one, its teacher."""

    def student(self, settings: Settings) -> Train:
        """Return the training of the small model."""
        ...

    def teach(
        self, split: Split, teacher: Callable[[Columns], Answer], settings: Settings, work: Work, meter: Meter
    ) -> Split:
        """Return rows for the student: those of ``split``, which the teacher trained on, and others made of them.

        The target is what the teacher answers. Where that is classes, a row stands there once for each class, its
        weight shared out by the teacher's probabilities.
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


# ---------------------------------------------------------------------------------------------- jobs


class Errand(StrEnum):
    """What a job is to do with its recipe."""

    TRIAL = "trial"
    """Train, score, keep."""
    WEIGH = "weigh"
    """Time the bundle that the job names; runs while nothing else does."""
    REFIT = "refit"
    """Train once more on everything but the test rows, with the rounds fixed."""
    TEST = "test"
    """Score the test rows with the bundle that ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe to execute: plain data, so that it can travel to another process or machine."""

    number: int
    recipe: Recipe
    errand: Errand = Errand.TRIAL
    fingerprint: str
    store: Path
    """Folder with the data (``data.arrow``, ``data.json``) and the bundles by digest."""
    seconds: Seconds
    """Time the job may take from its start; infinite where there is no deadline."""
    threads: int = 1
    serving_threads: int = 1
    bundle: str = ""
    """Which bundle to weigh or to test, relative to the store's bundles."""
    rounds: tuple[int, ...] = ()
    """For a refit: the rounds of each training under the recipe, left to right; 0 where there are none."""
    hurdles: Mapping[int, float] = field(default_factory=dict)
    """Per step, the aim (higher better) below which the trial is not worth finishing."""


def known(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the trials that were measured."""
    return tuple(t for t in trials if t.ending.usable)
