"""Two small finished runs, of classes and of numbers, and one that has measured nothing yet."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

import steelyard as sy

_spec = importlib.util.spec_from_file_location(
    "bundles_for_exporting", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)


@pytest.fixture(scope="session")
def maker():
    """Makes bundles by hand."""
    return _bundles.Maker()


def frame(rows=240):
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(2, rows))
    colour = generator.choice(["red", "green", "blue"], rows)
    return {
        "a": a.round(4).tolist(),
        "b": b.round(4).tolist(),
        "colour": colour.tolist(),
        "bought": np.where(
            1.5 * a - b + 2 * (colour == "red") + generator.logistic(size=rows) > 0, "yes", "no"
        ).tolist(),
        "paid": (3 * a + b + generator.normal(size=rows)).round(3).tolist(),
    }


def spec(target, **more):
    ignore = "paid" if target == "bought" else "bought"
    only = {"columns": {"ignore": [ignore]}, "learners": {"only": ["constant", "linear"]}, "levers": {"only": ["tune"]}}
    return sy.Spec(data=frame(), target=target, name=target, budget=sy.Budget(trials=3), **{**only, **more})


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of a run that predicts classes."""
    return sy.run(spec("bought"), out=tmp_path_factory.mktemp("runs") / "bought", in_process=True).folder


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """The folder of a run that predicts a number, whose aim is better when it is lower."""
    return sy.run(spec("paid"), out=tmp_path_factory.mktemp("runs") / "paid", in_process=True).folder


@pytest.fixture
def begun(run, tmp_path):
    """A run that has read its data and tried nothing yet."""
    folder = tmp_path / "begun"
    shutil.copytree(run, folder)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    kept = next(place for place, line in enumerate(lines) if b'"kind":"started"' in line)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:kept]))
    return folder
