"""Trials and contexts as a search would hand them to a lever."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard.contracts import (
    Column,
    Context,
    Ending,
    Kind,
    Meter,
    Prior,
    Problem,
    Schema,
    Setting,
    Space,
    Task,
    Trial,
    Work,
)
from steelyard.recipe import Plan, Settings, Train
from steelyard.units import Estimate, Seconds

sys.path.insert(0, str(Path(__file__).parent))  # where `finished_models` is

SPACES = {
    "trees": Space(
        {
            "leaves": Setting(default=31, low=4, high=256, log=True),
            "rate": Setting(default=0.1, low=0.01, high=0.5, log=True),
            "kind": Setting(default="plain", options=("plain", "dart")),
            "side": Setting(default=None, low=1, high=9),
        }
    ),
    "lines": Space({"penalty": Setting(default=1.0, low=0.001, high=1000.0, log=True)}),
    "constant": Space(),
    "switch": Space({"on": Setting(default=False, options=(False, True))}),
}


class Family:
    """As much of a learner as a lever asks for."""

    def __init__(self, name: str, seconds: float = 1e-3, *, weighty: bool = False) -> None:
        self.name, self._seconds, self.weighty = name, seconds, weighty

    def prior(self, task, schema, rows):
        return Prior(Estimate.exact(self._seconds * rows, unit="s"), Estimate.exact(0.5))


class Silent:
    """A meter that never stops anything and keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def report(self, step, value):
        return True

    def remaining(self):
        return Seconds("inf")

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.fixture
def meter() -> Meter:
    return Silent()


@pytest.fixture
def binary() -> Task:
    return Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")


@pytest.fixture
def schema() -> Schema:
    return Schema((Column(name="age", kind=Kind.NUMBER), Column(name="note", kind=Kind.TEXT)))


@pytest.fixture
def work(binary, schema) -> Work:
    return Work(task=binary, schema=schema, seed=3)


@pytest.fixture
def trial():
    """Make a trial: its number, learner, aim and settings."""

    def make(
        number, learner="trees", aim=0.7, *, recipe=None, ending=Ending.MEASURED, metric="roc_auc", half=0.05, **more
    ):
        lever = more.pop("lever", "start")
        curve = more.pop("curve", ())
        recipe = recipe or Train(learner=learner, plan=Plan(settings=Settings(more)))
        figure = {metric: Estimate(aim, aim - half, aim + half)} if ending.usable else {}
        return Trial(number=number, recipe=recipe, lever=lever, ending=ending, validation=figure, curve=curve)

    return make


@pytest.fixture
def context(binary, schema):
    """Make a context around some trials."""
    families = {"trees": Family("trees"), "lines": Family("lines", weighty=True), "constant": Family("constant", 1e-9)}
    families["switch"] = Family("switch")

    def make(*trials, **more):
        given = {"task": binary, "schema": schema, "rows": 1000, "calibration_rows": 400, "parts": 1}
        return Context(**(given | more), trials=trials, space=SPACES.__getitem__, learner=families.__getitem__)

    return make


@pytest.fixture
def random():
    return np.random.default_rng(11)
