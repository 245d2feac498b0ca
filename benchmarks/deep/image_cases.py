"""Image sets of the data catalogue, and one training on one of them: what the benchmarks of images share.

Rows that are not test rows train, with as many epochs as were asked for; nothing is chosen by test rows. What is scored
is the exported bundle. Seconds are those of ``fit``, on ``THREADS`` cores (default 2); ``core_seconds`` are what the
process computed, which a busy machine does not change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from rows import ROOT

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
THREADS = int(os.environ.get("THREADS", "2"))
KEPT = Path(tempfile.gettempdir()) / "steelyard-deep-images"
"""Where unpacked folders and checkpoints are kept between calls."""
SETS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "mnist_10k": ("mnist_10k/mnist_10k.npz", {"by": "index"}),
    "neu_det": ("", {"column": "split"}),
    "bccd": ("bccd/crops.zip", {"column": "split"}),
    "cifar10_12k": ("cifar10_12k/cifar10_12k_jpg.zip", {"column": "split"}),
}
"""By name: where the data is, and how it is split."""
WHITE = "WBC"
WANTED = 0.98
"""Recall of white cells that the threshold is chosen for."""

Parts = Mapping[str, Mapping[str, Any]]
"""Levers of a plan, with their settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training: a set, a learner with its settings, levers, and how many labels of each class there are."""

    data: str
    learner: str = "cnn"
    settings: Mapping[str, Any]
    parts: Parts
    labels: int | None = None
    checkpoint: str | None = None
    """The set that the body was trained on before."""


def unpacked() -> Path:
    """Return neu_det as a folder of classes in folders of sides: file numbers above 240 are the test."""
    folder = KEPT / "neu_det"
    if not folder.exists():
        aside = KEPT / f"neu_det-{os.getpid()}"
        with zipfile.ZipFile(DATA / "neu_det" / "images.zip") as archive:
            for member in archive.namelist():
                if named := re.fullmatch(r"(.*)_(\d+)", Path(member).stem):
                    side = "test" if int(named[2]) > 240 else "train"
                    place = aside / side / named[1] / Path(member).name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(archive.read(member))
        aside.rename(folder)
    return folder


@cache
def dataset(name: str) -> Any:
    """Return a set as a run reads it."""
    from steelyard.data import load
    from steelyard.spec import Spec

    path, split = SETS[name]
    place = DATA / path if path else unpacked()
    return load(Spec(data=str(place), target="label", task="classification", split={**split, "repeats": 1}))


def measure(case: Case, seed: int) -> Mapping[str, Any]:
    """Train, export, and return what a row keeps."""
    from steelyard.bundle import load

    data = dataset(case.data)
    train, test = _rows(data, case.labels, seed)
    folder = KEPT / f"run-{os.getpid()}"
    fitted, spent = trained(case, train, data, seed, folder)
    try:
        bundle = load(folder, threads=1)
        scores = bundle.answer(test.columns).scores
        size, milliseconds = bytes_of(folder), latency(bundle, test)
    finally:
        remove(folder)
    row = {
        **spent,
        **figures(scores.argmax(1), test.target, data.task.width),
        "size_bytes": size,
        "p50_ms": milliseconds,
    }
    if "adversarial" in case.parts or case.parts == {}:
        row |= robust(fitted, test)
    return row


class Resuming:
    """A meter with room for a checkpoint, so that a training that was killed goes on; it adds up what each try took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._file = folder, folder / "spent.json"
        self._before = json.loads(self._file.read_text()) if self._file.exists() else [0.0, 0.0]
        self._began, self._computed = time.perf_counter(), time.process_time()
        self._written = self._began

    def spent(self) -> tuple[float, float]:
        """Return seconds by the clock, and of computing, of all tries together."""
        clock, cores = time.perf_counter() - self._began, time.process_time() - self._computed
        return self._before[0] + clock, self._before[1] + cores

    def place(self) -> Path:
        """Return where the training keeps its checkpoint."""
        return self.folder

    def report(self, step: int, value: float) -> bool:
        """Go on."""
        del step, value
        return True

    def remaining(self) -> float:
        """Return that there is no deadline, and write down what was spent."""
        if time.perf_counter() - self._written > 2:
            self._written = time.perf_counter()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self.spent()))
        return float("inf")

    def note(self, sentence: str) -> None:
        """Print what the training has to say."""
        print(f"  {sentence}", flush=True)


def trained(case: Case, train: Any, data: Any, seed: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Train one case and write its bundle into a folder that does not exist yet."""
    from steelyard.bundle import About, write
    from steelyard.contracts import Work
    from steelyard.recipe import Plan, Settings, Step, Train
    from steelyard.registry import learners

    parts = [Step(lever=name, settings=Settings(one)) for name, one in case.parts.items()]
    if case.checkpoint is not None:
        parts.append(Step(lever="pretrained", settings=Settings(checkpoint=str(checkpoint(case)))))
    plan = Plan(settings=Settings(case.settings), parts=tuple(parts))
    work = Work(task=data.task, schema=data.schema, seed=seed, threads=THREADS)
    meter = Resuming(KEPT / "unfinished" / hashlib.sha256(repr((case, seed, THREADS)).encode()).hexdigest()[:16])
    fitted = learners().get(case.learner).fit(plan, train, None, work, meter)
    seconds, core_seconds = meter.spent()
    remove(meter.folder)
    write(folder, fitted.export(), About(data.task, data.schema, Train(learner=case.learner, plan=plan), "0" * 16))
    price = core_second()
    return fitted, {
        "seconds": seconds,
        "core_seconds": core_seconds,
        "usd": core_seconds * price,
        "load": os.getloadavg()[0],
        "train_rows": len(train),
        "losses": [round(loss, 4) for loss in fitted.losses],
    }


def checkpoint(case: Case) -> Path:
    """Return the bundle of the same net trained on another set, made once."""
    assert case.checkpoint is not None
    folder = KEPT / f"{case.learner}-{case.checkpoint}"
    if not folder.exists():
        data = dataset(case.checkpoint)
        aside = KEPT / f"{folder.name}-{os.getpid()}"
        before = replace(
            case, data=case.checkpoint, checkpoint=None, labels=None, settings=LIKE_THEIRS, parts=FOR_TRANSFER
        )
        trained(before, data.rows.take(data.partition.development), data, 0, aside)
        aside.rename(folder)
    return folder


FOR_TRANSFER: Parts = {"augment": {"flip": "sideways"}, "mixed-precision": {"precision": "bf16"}}
"""Levers of the training that a checkpoint comes from."""
LIKE_THEIRS: Mapping[str, Any] = {"size": 96, "light": "own"}
"""Its settings: pictures enlarged until the stem has as many convolutions as that of the net that starts from it."""


def _rows(data: Any, labels: int | None, seed: int) -> tuple[Any, Any]:
    """Return the rows to train on and the test rows; with few labels, as many of each class, drawn by the seed."""
    rows = data.partition.development
    if labels is not None:
        drawn = np.random.default_rng(seed).permutation(rows)
        codes = data.rows.target[drawn]
        rows = np.sort(np.concatenate([drawn[codes == code][:labels] for code in range(data.task.width)]))
    return data.rows.take(rows), data.rows.take(data.partition.test)


def figures(decided: Any, target: Any, classes: int) -> dict[str, Any]:
    """Return accuracy and balanced accuracy, each with a 95% bootstrap interval over rows, and recall by class."""
    right = decided == target
    drawn = np.random.default_rng(0).integers(0, len(right), (1000, len(right)))
    spread = np.array([balanced(right[rows], target[rows], classes) for rows in drawn])
    return {
        "accuracy": _interval(float(right.mean()), right[drawn].mean(1)),
        "balanced_accuracy": _interval(balanced(right, target, classes), spread),
        "recall": [float(right[target == code].mean()) for code in range(classes)],
        "test_rows": len(target),
    }


def balanced(right: Any, target: Any, classes: int) -> float:
    return float(np.mean([right[target == code].mean() for code in range(classes) if (target == code).any()]))


def _interval(value: float, resampled: Any) -> dict[str, float]:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high)}


def latency(bundle: Any, test: Any, calls: int = 100) -> float:
    """Return the median time of one answer from what a cell holds, on one core, in ms."""
    (name, cells), spent = next(iter(test.columns.items())), []
    for call in range(calls):
        row = {name: cells[call % len(cells)]}
        began = time.perf_counter()
        bundle.answer_row(row)
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent[calls // 10 :]))


def robust(fitted: Any, test: Any, *, rows: int = 500, reach: float = 2.0, steps: int = 10) -> dict[str, float]:
    """Return the share of test rows that stay right when pixels are moved by up to two shades to harm (PGD-10)."""
    import torch

    from steelyard.learners._image_levers import accuracies
    from steelyard.learners._image_objective import Attack

    some = test.take(np.linspace(0, len(test) - 1, rows).astype(int))
    inputs = fitted.reading.material(some.columns).batch(np.arange(len(some)))
    clean, under = accuracies(fitted.net, inputs, torch.from_numpy(some.target), Attack(reach, steps))
    return {"clean_accuracy": clean, "robust_accuracy": under}


def bytes_of(folder: Path) -> int:
    """Return what a bundle takes on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def core_second() -> float:
    """Return what a second of one core costs, in USD, by the built-in prices."""
    from steelyard.money.prices import Prices

    return float(Prices.load().core_hour.amount.amount) / 3600


def shown(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a line of a table: means over seeds."""

    def mean(field: str) -> float:
        return float(np.mean([row[field] for row in rows]))

    def figure(field: str) -> str:
        low, high = (np.mean([row[field][end] for row in rows]) for end in ("low", "high"))
        return f"{np.mean([row[field]['value'] for row in rows]):.4f} ({low:.4f} to {high:.4f})"

    hard = f"  robust {mean('robust_accuracy'):.3f}" if "robust_accuracy" in rows[0] else ""
    return (
        f"       {name:34} {figure('accuracy')}  balanced {figure('balanced_accuracy')}{hard}  "
        f"{mean('seconds'):6.1f} s  {mean('core_seconds'):6.1f} core-s  {mean('usd'):.5f} USD  "
        f"{mean('p50_ms'):.2f} ms  {mean('size_bytes') / 1000:.0f} kB  {len(rows)} seeds"
    )


def remove(folder: Path) -> None:
    """Remove the bundle of a run."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
