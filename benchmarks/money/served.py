"""The bundles whose predicted capacity is held against reality: six kinds, made by short runs with a fixed seed.

Runs are kept in ``benchmarks/money/cache`` and made once; data is looked for in ``STEELYARD_DATA``.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(__file__).resolve().parent / "cache"
DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
COMMAND = [sys.executable, "-m", "steelyard.cli"]
ROWS = 200

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A run and the rows that are sent to its bundle: the spec without data and name, and where rows come from."""

    spec: str
    rows: Callable[[], Rows]


def _cancer() -> Rows:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    return [dict(zip(names, map(float, row), strict=True)) for row in found.data[:ROWS]]


def _csv(name: str, *left_out: str) -> Callable[[], Rows]:
    def rows() -> Rows:
        with gzip.open(DATA / name / "data.csv.gz", "rt", encoding="utf-8", newline="") as file:
            records = [row for row, _ in zip(csv.DictReader(file), range(ROWS), strict=False)]
        return [{k: _cell(v) for k, v in record.items() if k not in left_out} for record in records]

    return rows


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _digits() -> Rows:
    from PIL import Image

    with np.load(DATA / "mnist_10k" / "mnist_10k.npz") as arrays:
        pictures = next(array for array in arrays.values() if array.ndim >= 3)
        made = []
        for picture in pictures[:ROWS]:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            made.append({"image": base64.b64encode(file.getvalue()).decode("ascii")})
        return made


KINDS: Mapping[str, Kind] = {
    "table-small": Kind(
        "data: sklearn:breast_cancer\ntarget: diagnosis\nlearners: {only: [linear, constant]}\nbudget: {trials: 2}",
        _cancer,
    ),
    "table-big": Kind(
        "data: adult_income/data.csv.gz\ntarget: income\ncolumns: {ignore: [split]}\n"
        "learners: {only: [lightgbm, constant]}\nbudget: {trials: 2, minutes: 2}",
        _csv("adult_income", "income", "split"),
    ),
    "text": Kind(
        "data: sms_spam/data.csv.gz\ntarget: label\ncolumns: {text: [text]}\n"
        "learners: {only: [tfidf-linear, constant]}\nbudget: {trials: 2, minutes: 2}",
        _csv("sms_spam", "label", "split"),
    ),
    "image": Kind(
        "data: mnist_10k/mnist_10k.npz\ntarget: label\nsplit: {by: index}\n"
        "learners: {only: [cnn, constant]}\nbudget: {trials: 2, minutes: 2}",
        _digits,
    ),
    "ensemble": Kind(
        "data: sklearn:breast_cancer\ntarget: diagnosis\nlearners: {only: [constant, extra-trees, mlp]}\n"
        "levers: {only: [ensemble]}\nquality: {tolerance: 0}\nbudget: {trials: 4, minutes: 2}",
        _cancer,
    ),
    "regression": Kind(
        "data: bike_sharing_hourly/data.csv.gz\ntarget: cnt\ncolumns: {ignore: [casual, registered, instant]}\n"
        "learners: {only: [extra-trees, constant]}\nbudget: {trials: 2, minutes: 2}",
        _csv("bike_sharing_hourly", "cnt"),
    ),
}


def run_of(name: str) -> Path:
    """Return the run of a kind, made where it is missing.

    Raises
    ------
    ValueError
        If it does not come to a bundle.
    """
    folder = CACHE / name
    if (folder / "report.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n", encoding="ascii")
    spec = CACHE / f"{name}.yaml"
    spec.write_text(f"name: {name}\nseed: 1\n{KINDS[name].spec}\n", encoding="utf-8")
    environment = os.environ | {"STEELYARD_DATA": str(DATA)}
    done = subprocess.run(
        [*COMMAND, "run", spec, "--out", folder], env=environment, capture_output=True, text=True, check=False
    )
    if not (folder / "report.json").exists():
        raise ValueError(done.stderr.strip()[-500:])
    return folder


def rows_of(name: str) -> Path:
    """Return a file of rows for a kind, as a client sends them."""
    file = CACHE / f"{name}.jsonl"
    if not file.exists():
        file.write_text("".join(json.dumps(row) + "\n" for row in KINDS[name].rows()), encoding="utf-8")
    return file


def bundles_of(name: str) -> tuple[Path, Path]:
    """Return the bundle to serve, and that of the constant model, which reads the same columns.

    It is what the run ships; of the ensemble, which need not be what is chosen, a bundle of its trial.
    """
    from steelyard.capacity import idle_bundle
    from steelyard.recipe import Combine, digest
    from steelyard.search.folder import RunFolder
    from steelyard.search.recount import recount

    record = recount(RunFolder.existing(run_of(name)))
    idle = idle_bundle(record)
    assert record.final is not None
    assert idle is not None
    if name != "ensemble":
        return record.final.bundle, idle
    recipe = next(trial.recipe for trial in record.trials if isinstance(trial.recipe, Combine))
    return record.folder / "bundles" / digest(recipe) / "fold-0", idle


if __name__ == "__main__":
    for each in sys.argv[1:] or KINDS:
        made = run_of(each)
        rows_of(each)
        recipe = json.loads((made / "report.json").read_bytes())["decision"]["recipe"]
        print(each, recipe, *map(str, bundles_of(each)))
