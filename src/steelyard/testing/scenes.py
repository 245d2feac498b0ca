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
from steelyard.data.coerce import objects
from steelyard.data.waves import encode

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
    """Yield every scene: numbers, text, a mixture, images, sounds and sequences, for each problem; and tokens to tag.

    Examples
    --------
    >>> [scene.name for scene in scenes()][:3]
    ['numbers binary', 'numbers multiclass', 'numbers regression']
    """
    for kind in COLUMNS:
        for problem in _CLASSES:
            yield scene(kind, problem)
    yield tagged()


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


_TAGS = ("O", "B-place", "I-place", "B-name", "I-name")
_SAID = ("sleeps", "in", "and", "met", "of", "near")
_NAMES = {"place": ("Oslo", "New York", "Lima", "Rio Grande"), "name": ("Ann Lee", "Bob", "Cleo", "Dirk Bo")}


def tagged(*, seed: int = 0) -> Scene:
    """Return a scene of sentences whose names and places are tagged; one tag in thirty is wrong."""
    random = np.random.default_rng(seed)
    tokens, tags = np.empty(TRAIN + VALID, object), np.empty(TRAIN + VALID, object)
    for row in range(TRAIN + VALID):
        words, codes = list[str](), list[int]()
        for _ in range(random.integers(1, 6)):
            kind = str(random.choice(["place", "name", ""]))
            said = str(random.choice(_NAMES[kind] if kind else _SAID)).split()
            words += said
            codes += [_TAGS.index(f"{'I' if place else 'B'}-{kind}") if kind else 0 for place in range(len(said))]
        wrong = random.random(len(codes)) < 1 / 30
        tokens[row], tags[row] = tuple(words), np.where(wrong, 0, codes).astype(np.int64)
    rows = Split({"words": tokens}, tags, np.arange(TRAIN + VALID))
    return Scene(
        name="tokens tagging",
        task=Task(problem=Problem.TAGGING, target="answer", aim="entity_f1", classes=_TAGS),
        schema=Schema((Column(name="words", kind=Kind.TOKENS, distinct=len(tokens)),)),
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


def _sounds(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    """Return tones in noise, their height the hidden state; of several lengths, one in ten at another rate."""
    cells = np.empty(len(hidden), object)
    for row, state in enumerate(hidden):
        rate = 16_000 if random.random() < 0.1 else 8_000
        at = np.arange(int(rate * random.uniform(0.08, 0.2))) / rate
        tone = np.sin(2 * np.pi * 400.0 * 1.6**state * at + random.uniform(0, 6))
        cells[row] = encode(0.2 * tone + random.normal(scale=0.02, size=len(at)), rate)
    return [(Column(name="call", kind=Kind.AUDIO, distinct=len(hidden)), cells)]


def _sequences(hidden: NDArray[np.int64], random: np.random.Generator) -> _Made:
    """Return readings that rise with the hidden state, and others that say nothing; of unequal length, with gaps."""
    cells = np.empty(len(hidden), object)
    for row, state in enumerate(hidden):
        steps = int(random.integers(6, 16))
        drift = 5_000.0 + (0.5 * state - 0.3) * np.arange(steps) + random.normal(scale=0.3, size=steps)
        readings = np.column_stack([drift, random.normal(size=steps)]).astype(np.float32)
        readings[random.random(steps) < 0.1, 0] = np.nan
        cells[row] = readings[:0] if random.random() < 0.02 else readings
    column = Column(name="readings", kind=Kind.SEQUENCE, missing=0.02, distinct=len(hidden), channels=("drift", "hum"))
    return [(column, cells)]


COLUMNS: dict[str, Callable[[NDArray[np.int64], np.random.Generator], _Made]] = {
    "numbers": _numbers,
    "text": _text,
    "mixture": _mixture,
    "images": _images,
    "sounds": _sounds,
    "sequences": _sequences,
}
"""How the columns of a kind of scene are made from a hidden state a row, which the target follows."""


def emptied(columns: Columns, schema: Schema) -> Columns:
    """Return columns with every cell missing; images and sounds, which cannot be, as they are."""
    return {c.name: _missing(columns[c.name], c.kind) for c in schema.columns}


def _missing(values: NDArray[Any], kind: Kind) -> NDArray[Any]:
    match kind:
        case Kind.NUMBER | Kind.TIME:
            return np.full(len(values), np.nan)
        case Kind.CATEGORY:
            return np.full(len(values), None, object)
        case Kind.TEXT:
            return np.full(len(values), "", object)
        case Kind.SEQUENCE:
            return objects(cell[:0] for cell in values)
        case Kind.TOKENS:
            return _all((), len(values))
    return values


def strange(columns: Columns, schema: Schema) -> Columns:
    """Return columns whose categories and words were never seen before."""
    odd = {c.name for c in schema.of(Kind.CATEGORY, Kind.TEXT)}
    made = {name: np.full(len(v), "zyx wvu", object) if name in odd else v for name, v in columns.items()}
    return made | {c.name: _all(("zyx", "wvu"), len(columns[c.name])) for c in schema.of(Kind.TOKENS)}


def _all(tokens: tuple[str, ...], rows: int) -> NDArray[Any]:
    made = np.empty(rows, object)
    for row in range(rows):
        made[row] = tokens
    return made


def spread_of(target: Floats) -> float:
    """Return the standard deviation of a target, 1 where it does not vary."""
    spread = float(np.nanstd(target))
    return spread if spread > 0 else 1.0
