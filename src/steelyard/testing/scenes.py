"""Small data sets, made up from a seed, on which any learner can be tried in seconds.

Each has what breaks careless code: missing cells, a category with a missing value, epoch seconds beyond 2^24, row
weights, and targets far from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Columns, Floats, Kind, Problem, Schema, Split, Task, Work

TRAIN, VALID = 160, 80
_DAY = 86_400.0
_EPOCH = 1_700_000_000.0
_CLASSES = {Problem.BINARY: ("no", "yes"), Problem.MULTICLASS: ("ash", "birch", "cedar"), Problem.REGRESSION: ()}
_AIMS = {Problem.BINARY: "roc_auc", Problem.MULTICLASS: "accuracy", Problem.REGRESSION: "rmse"}
_JOBS = ("baker", "clerk", "miner", "nurse")
_WORDS = {
    0: ("late", "broken", "refund", "angry", "parcel"),
    1: ("kind", "quick", "thanks", "lovely", "parcel"),
    2: ("invoice", "address", "change", "account", "parcel"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A task with rows to train and to validate on."""

    name: str
    task: Task
    schema: Schema
    train: Split
    valid: Split

    @property
    def work(self) -> Work:
        """What a learner is told beside the rows."""
        return Work(task=self.task, schema=self.schema, seed=7, threads=1)


def scenes() -> Iterator[Scene]:
    """Yield every scene: numbers, text, a mixture, and images, for each problem.

    Examples
    --------
    >>> [scene.name for scene in scenes()][:3]
    ['numbers binary', 'numbers multiclass', 'numbers regression']
    """
    for kind in COLUMNS:
        for problem in _CLASSES:
            yield scene(kind, problem)


def scene(kind: str, problem: Problem, *, seed: int = 0) -> Scene:
    """Return one scene; ``kind`` is a key of :data:`COLUMNS`. The same seed gives the same rows."""
    random = np.random.default_rng(seed)
    hidden = random.integers(0, 3 if problem is Problem.MULTICLASS else 2, TRAIN + VALID)
    columns = COLUMNS[kind](hidden, random)
    rows = Split({c.name: values for c, values in columns}, _target(hidden, problem, random), np.arange(TRAIN + VALID))
    classes = _CLASSES[problem]
    task = Task(
        problem=problem,
        target="answer",
        aim=_AIMS[problem],
        classes=classes,
        positive=classes[1] if problem is Problem.BINARY else None,
    )
    return Scene(
        name=f"{kind} {problem.value}",
        task=task,
        schema=Schema(tuple(c for c, _ in columns)),
        train=rows.take(np.arange(TRAIN)),
        valid=rows.take(np.arange(TRAIN, TRAIN + VALID)),
    )


def _target(hidden: NDArray[np.int64], problem: Problem, random: np.random.Generator) -> NDArray[Any]:
    """Return the target that a hidden state leads to; one row in twenty is wrong, or numbers are noisy."""
    if problem is Problem.REGRESSION:
        return np.asarray(1000.0 + 40.0 * hidden + random.normal(size=len(hidden)), dtype=np.float64)
    wrong = random.random(len(hidden)) < 0.05
    return np.where(wrong, random.permutation(hidden), hidden).astype(np.int64)


_Made = list[tuple[Column, NDArray[Any]]]


def _numbers(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    n = len(hidden)
    age = 40.0 + 9.0 * hidden + random.normal(scale=3.0, size=n)
    age[random.random(n) < 0.1] = np.nan
    seen = _EPOCH + _DAY * (2.0 * hidden + random.random(n))
    return [
        (Column(name="age", kind=Kind.NUMBER, missing=0.1, distinct=n, low=30, high=70), age),
        (Column(name="noise", kind=Kind.NUMBER, distinct=n, low=0, high=1), random.random(n)),
        (Column(name="seen", kind=Kind.TIME, distinct=n, low=_EPOCH, high=_EPOCH + 9 * _DAY), seen),
        (Column(name="job", kind=Kind.CATEGORY, missing=0.1, distinct=4), _jobs(hidden, random)),
    ]


def _jobs(hidden: NDArray[np.int64], random: np.random.Generator) -> NDArray[Any]:
    jobs = np.empty(len(hidden), object)
    for row, state in enumerate(hidden):
        likely = _JOBS[state] if random.random() < 0.7 else str(random.choice(_JOBS))
        jobs[row] = None if random.random() < 0.1 else likely
    return jobs


def _text(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    notes = np.empty(len(hidden), object)
    for row, state in enumerate(hidden):
        words = [str(random.choice(_WORDS[int(state)])) for _ in range(random.integers(2, 8))]
        notes[row] = "" if random.random() < 0.05 else " ".join(words)
    return [(Column(name="note", kind=Kind.TEXT, missing=0.05, distinct=len(hidden)), notes)]


def _mixture(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    return [*_numbers(hidden, random), *_text(hidden, random)]


def _images(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    cells = np.empty(len(hidden), object)
    for row, state in enumerate(hidden):
        picture = random.integers(0, 90, (12, 12))
        picture[1 + 4 * state : 4 + 4 * state, :] += 140
        cells[row] = picture.astype(np.uint8)
    return [(Column(name="photo", kind=Kind.IMAGE, distinct=len(hidden)), cells)]


COLUMNS: dict[str, Callable[[NDArray[np.int64], np.random.Generator], _Made]] = {
    "numbers": _numbers,
    "text": _text,
    "mixture": _mixture,
    "images": _images,
}
"""How the columns of a kind of scene are made from a hidden state a row, which the target follows."""


def emptied(columns: Columns, schema: Schema) -> Columns:
    """Return columns with every cell missing; images, which cannot be, as they are."""
    return {c.name: _missing(columns[c.name], c.kind) for c in schema.columns}


def _missing(values: NDArray[Any], kind: Kind) -> NDArray[Any]:
    match kind:
        case Kind.NUMBER | Kind.TIME:
            return np.full(len(values), np.nan)
        case Kind.CATEGORY:
            return np.full(len(values), None, object)
        case Kind.TEXT:
            return np.full(len(values), "", object)
    return values


def strange(columns: Columns, schema: Schema) -> Columns:
    """Return columns whose categories and words were never seen before."""
    odd = {c.name for c in schema.of(Kind.CATEGORY, Kind.TEXT)}
    return {name: np.full(len(v), "zyx wvu", object) if name in odd else v for name, v in columns.items()}


def spread_of(target: Floats) -> float:
    """Return the standard deviation of a target, 1 where it does not vary."""
    spread = float(np.nanstd(target))
    return spread if spread > 0 else 1.0
