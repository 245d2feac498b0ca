"""The float models that are quantised, each trained once with a learner's defaults and kept: ``parent(name)``.

What trains are the rows that are no test rows; nothing is chosen by test rows. A model is kept below the temporary
folder by its case and seed, so that a second benchmark starts from the very same graph.

    python benchmarks/shrink/fp32.py text-cnn    # trains what is missing and says how good it is
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deep"))

import numpy as np
from image_cases import unpacked

from rows import ROOT

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
KEPT = Path(tempfile.gettempdir()) / "steelyard-shrink-fp32"
CRC = {"by": "index"}
"""Row i is a test row where crc32(str(i)) % 5 == 0, as the catalogue says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training: where the rows are and how they are split, the learner, its settings and levers."""

    file: str
    target: str = "label"
    split: Mapping[str, Any]
    learner: str
    settings: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    drop: tuple[str, ...] = ()


BF16: Mapping[str, Mapping[str, Any]] = {"mixed-precision": {"precision": "bf16"}}
OFFICIAL = {"column": "split"}
CASES: Mapping[str, Case] = {
    "cnn mnist_10k": Case(file="mnist_10k/mnist_10k.npz", split=CRC, learner="cnn", settings={}, parts={}),
    "cnn neu_det": Case(file="", split=OFFICIAL, learner="cnn", settings={}, parts={"augment": {"flip": "all"}}),
    "text-cnn ag_news": Case(file="ag_news_7600/data.csv.gz", split=CRC, learner="text-cnn", settings={}, parts={}),
    "embed-linear banking77": Case(
        file="banking77/data.csv.gz", split=OFFICIAL, learner="embed-linear", settings={}, parts={}
    ),
    "transformer banking77": Case(
        file="banking77/data.csv.gz", split=OFFICIAL, learner="transformer", settings={}, parts=BF16
    ),
    "mlp satimage": Case(file="pmlb/satimage.tsv.gz", target="target", split=CRC, learner="mlp", settings={}, parts={}),
}


@dataclass(frozen=True, slots=True)
class Parent:
    """A float model: its artefact, and what it was trained and is judged on."""

    artefact: Any
    data: Any
    seconds: float

    @property
    def train(self) -> Any:
        """The rows that are no test rows."""
        return self.data.rows.take(self.data.partition.development)

    @property
    def test(self) -> Any:
        """The rows that the data's own split keeps for the test."""
        return self.data.rows.take(self.data.partition.test)

    @property
    def work(self) -> Any:
        """What a lever is told."""
        from steelyard.contracts import Work

        return Work(task=self.data.task, schema=self.data.schema, seed=0, threads=1)


@cache
def dataset(name: str) -> Any:
    """Return the rows of a case as a run reads them."""
    from steelyard.data.loading import load
    from steelyard.spec import parse

    case = CASES[name]
    place = DATA / case.file if case.file else unpacked()
    if not place.exists():
        raise ValueError(f"{place} is not there; set STEELYARD_DATA to the folder of the data catalogue")
    split = {**case.split, "repeats": 1}
    spec = {"data": str(place), "target": case.target, "task": "classification", "split": split}
    return load(parse(json.dumps(spec)))


def parent(name: str, seed: int = 0) -> Parent:
    """Return the float model of a case, trained where it is not kept."""
    from steelyard.contracts import Work
    from steelyard.recipe import Plan, Settings, Step
    from steelyard.registry import learners
    from steelyard.testing.pupils import Watch

    case, data = CASES[name], dataset(name)
    file = KEPT / f"{hashlib.sha256(repr((case, seed)).encode()).hexdigest()[:16]}.pickle"
    if file.exists():
        artefact, seconds = pickle.loads(file.read_bytes())
        return Parent(artefact, data, seconds)
    steps = tuple(Step(lever=lever, settings=Settings(one)) for lever, one in case.parts.items())
    work = Work(task=data.task, schema=data.schema, seed=seed, threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
    train, began = data.rows.take(data.partition.development), time.perf_counter()
    plan = Plan(settings=Settings(case.settings), parts=steps)
    artefact = learners().get(case.learner).fit(plan, train, None, work, Watch()).export()
    made = Parent(artefact, data, time.perf_counter() - began)
    KEPT.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{os.getpid()}")
    aside.write_bytes(pickle.dumps((artefact, made.seconds)))
    aside.rename(file)
    return made


def scores(artefact: Any, data: Any, rows: Any) -> Any:
    """Return what a model answers to rows, as a bundle would, shape (n, classes)."""
    from steelyard.bundle.running import GraphModel

    return GraphModel(artefact, data.task, data.schema, threads=1).answer(rows.columns).scores


def main() -> None:
    """Train what is missing of the cases whose names hold the words given."""
    wanted = " ".join(sys.argv[1:])
    for name in CASES:
        if wanted in name:
            made = parent(name)
            right = scores(made.artefact, made.data, made.test).argmax(1) == made.test.target
            print(
                f"{name:24} {np.mean(right):.4f} of {len(right)} rows, {len(made.artefact.graph) / 1e6:.2f} MB, "
                f"trained in {made.seconds:.0f} s"
            )


if __name__ == "__main__":
    main()
