"""What the three ways to make a model share: the rows of a part, the write, the read-back, the parity check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle import About, Bundle, Joined, load, write
from steelyard.clock import Phase, phase
from steelyard.contracts import NUMERIC, Answer, Artefact, Floats, Ints, Job, Problem, Rule, Split, Task, Work
from steelyard.contracts.ragged import flattened
from steelyard.data import Dataset
from steelyard.errors import SteelyardError
from steelyard.recipe import Recipe
from steelyard.search.meter import JobMeter
from steelyard.search.store import Store

PARITY = 1e-4
"""Most that a bundle's scores may differ from its framework's, in probability or standard deviations of the target."""


class OutOfTime(Exception):
    """The deadline passed before there was anything to measure."""


class Pruned(Exception):
    """Not worth finishing."""


class Unfaithful(SteelyardError):
    """A bundle does not answer as the framework that trained it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a recipe is made with: the data, the store, the job, and the meter."""

    job: Job
    store: Store
    dataset: Dataset
    meter: JobMeter

    @property
    def work(self) -> Work:
        """What learners and levers may know."""
        dataset = self.dataset
        return Work(
            task=dataset.task,
            schema=dataset.schema,
            seed=0,
            threads=self.job.threads,
            unlabelled=dataset.unlabelled,
        )

    def about(self, recipe: Recipe, **extra: object) -> About:
        """Return what a manifest says of a bundle of this run."""
        return About(
            task=self.dataset.task,
            schema=self.dataset.schema,
            recipe=recipe,
            fingerprint=self.dataset.fingerprint,
            extra=extra,
        )


@dataclass(slots=True)
class Made:
    """What making a recipe left beside its bundles: answers on the scored rows, rounds a part, the rule if any.

    ``importance`` is that of columns, as in :class:`steelyard.contracts.Trial`; empty where it was not measured.
    """

    recipe: Recipe
    answer: Answer
    rounds: tuple[int, ...] = ()
    rule: Rule | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    metrics: tuple[str, ...] | None = None
    """What it can be judged by; ``None``: every metric that applies."""


class Answers:
    """Collects the answers of the parts into one, aligned with ``partition.scored``."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._scored = dataset.partition.scored
        rows, task = len(self._scored), dataset.task
        self._scores: NDArray[Any] = np.full((rows, task.width), np.nan)
        shape = (rows, task.width) if task.problem is Problem.FORECASTING else rows
        self._decided: NDArray[Any] = np.zeros(shape, dtype=np.float64 if task.problem in NUMERIC else np.int64)
        if task.problem is Problem.TAGGING:
            self._scores, self._decided = np.empty(rows, object), np.empty(rows, object)

    def put(self, rows: Ints, answer: Answer) -> None:
        """Place the answers of some rows, given as positions in the data set."""
        where = np.searchsorted(self._scored, rows)
        self._scores[where] = answer.scores
        self._decided[where] = answer.decided

    def whole(self) -> Answer:
        """Return all answers."""
        return staked(Answer(self._scores, self._decided), self._dataset.rows.take(self._scored))


@phase(Phase.LOADING)
def shipped(folder: Path, model: Artefact | Joined, about: About) -> Bundle:
    """Write a bundle and return it as it is read back: what is measured is what ships."""
    write(folder, model, about)
    return load(folder)


def ship(folder: Path, model: Artefact | Joined, about: About, columns: Mapping[str, Any]) -> Answer:
    """Write a bundle and return what it answers to some rows."""
    return shipped(folder, model, about).answer(columns)


def check_parity(task: Task, own: Floats, shipped: Floats, target: np.ndarray[Any, Any]) -> None:
    """Compare the framework's scores with the bundle's.

    Raises
    ------
    Unfaithful
        If they differ by more than :data:`PARITY`.
    """
    spread = 1.0
    if task.problem in NUMERIC:
        step = float(np.spacing(np.float32(np.max(np.abs(shipped), initial=0.0))))  # a graph's scores are float32
        spread = max(float(np.nanstd(target)), step / PARITY) or 1.0
    if task.problem is Problem.TAGGING:
        own, shipped = flattened(own)[0], flattened(shipped)[0]
    worst = float(np.max(np.abs(own - shipped), initial=0.0)) / spread
    if not worst <= PARITY:
        unit = "standard deviations of the target" if task.problem in NUMERIC else "in probability"
        raise Unfaithful(
            f"The exported bundle differs from its framework by up to {worst:.2g} {unit} (at most {PARITY:g} "
            "is allowed), so what was trained is not what would ship."
        )


@phase(Phase.PREPARING)
def validation_of(dataset: Dataset) -> tuple[Ints, Split]:
    """Return where the validation rows stand among the scored ones, and those rows."""
    rows = dataset.partition.validation
    return np.searchsorted(dataset.partition.scored, rows), dataset.rows.take(rows)


def staked(answer: Answer, held: Split) -> Answer:
    """Return an answer with what its rows are judged by: the money at stake, and the scales of errors."""
    return replace(answer, amounts=held.amounts, scales=held.scales)


def part_answer(answer: Answer, index: Ints) -> Answer:
    """Return the answers of some rows."""
    return answer.take(index)
