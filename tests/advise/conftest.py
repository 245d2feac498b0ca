"""Small runs to ask for advice: made once, copied by whoever writes into them."""

import shutil

import numpy as np
import pytest

import steelyard as sy

KIND = ["good", "fine", "swift", "clear", "and", "the", "very"]
UNKIND = ["bad", "slow", "late", "dull", "and", "the", "very"]


def rows(count=420, seed=0):
    generator = np.random.default_rng(seed)
    a, b, c = generator.normal(size=(3, count))
    odds = 1.5 * a - b + 0.5 * a * c
    return {
        "a": a.round(4).tolist(),
        "b": b.round(4).tolist(),
        "c": c.round(4).tolist(),
        "bought": np.where(odds + generator.logistic(size=count) > 0, "yes", "no").tolist(),
        "kind": np.where(odds > 1, "high", np.where(odds < -1, "low", "middle")).tolist(),
        "amount": (odds + 0.5 * generator.normal(size=count)).round(4).tolist(),
        "note": [" ".join(generator.choice(KIND if o > 0 else UNKIND, 5)) for o in odds],
    }


def run(folder, target, *, keep=("a", "b", "c"), trials=3, only=("constant", "linear"), **more):
    frame = {name: cells for name, cells in rows().items() if name in (*keep, target)}
    spec = sy.Spec(data=frame, target=target, budget={"trials": trials}, learners={"only": list(only)}, **more)
    return sy.run(spec, out=folder, in_process=True).folder


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A finished run whose decisions have a value and a traffic."""
    return run(
        tmp_path_factory.mktemp("advice") / "run",
        "bought",
        value={"false_negative": "-5 USD", "false_positive": "-1 USD"},
        serving={"traffic": {"mean_rps": 0.01}},
    )


@pytest.fixture
def finished(made, tmp_path):
    """A copy of it that a test may write into."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def begun():
    """A function that runs a spec on the same rows and returns its folder."""
    return run
