"""Families of models: what a learner is told, what it promises, and what it exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from steelyard.contracts.data import Columns, Floats, Kind, Schema, Split, Task
from steelyard.recipe import Plan, Scalar, Settings
from steelyard.units import Estimate, Seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be done, as one sentence."""

    sentence: str
    lacks: Kind | None = None
    """The kind of columns that it needs and the table has none of, where that is the reason."""


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


@runtime_checkable
class Shower(Protocol):
    """A meter that shows how a training goes between two reports."""

    def show(self, step: int, loss: float) -> None:
        """Show the training loss so far in a step that is under way, or was just done."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A meter that has room for a training to keep what it needs to go on after it was killed."""

    def place(self) -> Path | None:
        """Return the folder of the training that begins now; it may not be there yet. ``None``: nothing is kept.

        The trainings of a job have different ones, in the order in which they begin: the same in each attempt at it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Everything a learner or a lever needs to know beside the rows."""

    task: Task
    schema: Schema
    seed: int = 0
    threads: int = 1
    unlabelled: Split | None = field(default=None, compare=False, repr=False)
    """Rows without a target, for what learns without one; their ``target`` means nothing."""


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
    pretrained: str = ""
    """Which weights training started from, and under what licence; it stands in the bundle's card."""


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
