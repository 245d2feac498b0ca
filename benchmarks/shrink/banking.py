"""banking77 with its official test rows, and the parent of the ladder: MiniLM, trained further, kept between calls."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from rows import ROOT
from steelyard.bundle import About, load, write
from steelyard.contracts import Artefact, Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.recipe import Plan, Recipe, Settings, Step, Train
from steelyard.registry import learners
from steelyard.units import Seconds

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data")) / "banking77" / "data.csv.gz"
KEPT = Path(os.environ.get("KEPT", ROOT / "runs" / "shrink-banking77"))
EARLY = 10
"""One training row of so many says which epoch of the parent is kept; the parent does not train on it."""
PARENT = Train(
    learner="transformer",
    plan=Plan(
        settings=Settings(epochs=4),
        parts=(
            Step(lever="early-stopping", settings=Settings(patience=2)),
            Step(lever="mixed-precision", settings=Settings(precision="bf16")),
        ),
    ),
)


@dataclass
class Clock:
    """A meter without a deadline that keeps what it is told; a training that is killed goes on from its last epoch."""

    notes: list[str] = field(default_factory=list)
    curve: list[float] = field(default_factory=list)
    until: float = math.inf
    room: Path | None = None

    def report(self, step: int, value: float) -> bool:
        """Keep it, and go on."""
        del step
        self.curve.append(value)
        return True

    def remaining(self) -> Seconds:
        """Return the seconds that are left."""
        return Seconds(self.until - time.monotonic())

    def place(self) -> Path | None:
        """Return where a training keeps what it needs to go on."""
        return self.room

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        self.notes.append(sentence)


@dataclass(frozen=True)
class Rows:
    """The set: what trains, what chooses epochs, and the official test rows."""

    task: Task
    schema: Schema
    train: Split
    early: Split
    test: Split

    @property
    def work(self) -> Work:
        """What learners and levers are told."""
        return Work(task=self.task, schema=self.schema, seed=0, threads=1)


@cache
def rows_of() -> Rows:
    """Return the set with the split of the catalogue."""
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    classes = tuple(sorted({line["label"] for line in lines}))
    task = Task(problem=Problem.MULTICLASS, target="label", aim="accuracy", classes=classes)
    texts = np.array([line["text"] for line in lines], object)
    target = np.array([classes.index(line["label"]) for line in lines], np.int64)
    whole = Split({"text": texts}, target, np.arange(len(lines)))
    test = np.array([line["split"] == "test" for line in lines])
    train = whole.take(~test)
    early = np.random.default_rng(0).permutation(len(train)) % EARLY == 0
    schema = Schema((Column(name="text", kind=Kind.TEXT, distinct=len(lines)),))
    return Rows(task, schema, train.take(~early), train.take(early), whole.take(test))


def parent() -> tuple[Artefact, dict[str, object]]:
    """Return the parent, trained where it is not kept yet, and how its training went."""
    place = KEPT / "parent"
    if not place.exists():
        rows, clock, began = rows_of(), Clock(room=KEPT / "under-way" / "parent"), time.monotonic()
        fitted = learners().get(PARENT.learner).fit(PARENT.plan, rows.train, rows.early, rows.work, clock)
        keep(place, fitted.export(), PARENT)
        facts = {"epochs": fitted.rounds, "curve": clock.curve, "seconds": time.monotonic() - began}
        (KEPT / "parent.json").write_text(json.dumps({**facts, "notes": clock.notes}), encoding="utf-8")
    return load(place, threads=1).artefact(), json.loads((KEPT / "parent.json").read_text(encoding="utf-8"))


def keep(place: Path, artefact: Artefact, recipe: Recipe) -> None:
    """Write a bundle."""
    rows = rows_of()
    write(place, artefact, About(rows.task, rows.schema, recipe, "0" * 16))
