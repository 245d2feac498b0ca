"""Small generated tables, a meter that remembers, and a way to serve an artefact as a bundle does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
import pytest

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work

COLOURS = np.array(["red", "green", "blue", "rare"], object)
GOOD = ["a lovely fine thing", "lovely and warm", "fine warm day", "a fine thing indeed"]
BAD = ["a broken cold thing", "cold and broken", "grim cold day", "a grim thing indeed"]
EPOCH = 1_700_000_000.0


@dataclass
class Recorder:
    """A meter that remembers what it was told, says stop at a step, and has so much time left."""

    stop_at: int | None = None
    left: float = math.inf
    curve: list[tuple[int, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def report(self, step, value):
        self.curve.append((step, value))
        return self.stop_at is None or step < self.stop_at

    def remaining(self):
        return self.left

    def note(self, sentence):
        self.notes.append(sentence)


@dataclass(frozen=True)
class Table:
    """Rows to train on, rows to try, and what the learner is told about them."""

    train: Split
    test: Split
    work: Work


TASKS = {
    Problem.BINARY: Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes"),
    Problem.MULTICLASS: Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c")),
    Problem.REGRESSION: Task(problem=Problem.REGRESSION, target="y", aim="rmse"),
}
COLUMNS = {
    "size": Kind.NUMBER,
    "gap": Kind.NUMBER,
    "when": Kind.TIME,
    "colour": Kind.CATEGORY,
    "shape": Kind.CATEGORY,
    "remark": Kind.TEXT,
}


def make_table(problem=Problem.BINARY, *, kinds=(Kind.NUMBER, Kind.TIME, Kind.CATEGORY), rows=400, seed=0, spaced=True):
    rng = np.random.default_rng(seed)
    size, colour = rng.normal(size=rows), rng.integers(0, 3, rows)
    signal = size + colour - 1.0 + 0.3 * rng.normal(size=rows)
    shown = COLOURS[np.where(rng.random(rows) < 0.01, 3, colour)]
    shown[rng.random(rows) < 0.05] = None
    remarks = [(GOOD if value > 0 else BAD)[rng.integers(0, 4)] for value in signal]
    cells = {
        "size": size * 1e3,
        "gap": np.where(rng.random(rows) < 0.3, np.nan, signal + rng.normal(size=rows)),
        "when": EPOCH + 60.0 * np.round(100 * signal),
        "colour": shown,
        "shape": np.array(["round", "square"], object)[(signal > rng.normal(size=rows)).astype(int)],
        "remark": np.array(remarks if spaced else ["很好" if text in GOOD else "差劲" for text in remarks], object),
    }
    columns = {name: cells[name] for name, kind in COLUMNS.items() if kind in kinds}
    schema = Schema(tuple(Column(name=n, kind=COLUMNS[n], spaced=spaced) for n in columns))
    target = {
        Problem.BINARY: (signal > 0).astype(np.int64),
        Problem.MULTICLASS: np.digitize(signal, [-0.7, 0.7]).astype(np.int64),
        Problem.REGRESSION: 1e5 + 1e3 * signal,
    }[problem]
    split = Split(columns, target, np.arange(rows))
    some = np.arange(rows) % 4 > 0
    return Table(split.take(some), split.take(~some), Work(task=TASKS[problem], schema=schema, seed=1))


def serve_artefact(artefact, columns):
    """Return the scores that a bundle of this artefact gives, and check its rows one by one too."""
    runtime = onnxruntime.InferenceSession(artefact.graph, providers=["CPUExecutionProvider"])
    fronts = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    (scores,) = runtime.run(None, {name: tensor for front in fronts for name, tensor in front(columns).items()})
    cells = {name: values[0] for name, values in columns.items()}
    (alone,) = runtime.run(None, {name: tensor for front in fronts for name, tensor in front.row(cells).items()})
    np.testing.assert_allclose(alone, scores[:1], atol=1e-5, rtol=1e-5)
    assert [output.name for output in runtime.get_outputs()] == ["scores"]
    assert scores.dtype == np.float32
    return scores


@pytest.fixture
def meter():
    return Recorder()


@pytest.fixture
def recorder():
    return Recorder


@pytest.fixture
def table():
    return make_table


@pytest.fixture
def serve():
    return serve_artefact
