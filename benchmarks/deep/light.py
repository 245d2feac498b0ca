"""Pictures in another light: ``python benchmarks/deep/light.py``, on which the settings of ``neu_det`` were chosen.

Of ``neu_det`` the files up to 192 of each class train and those from 193 to 240 are scored; the test rows (above 240)
are left alone. Files that follow each other are of like light, so the scored ones differ from those that trained as a
new week's do. ``ONLY``, ``SEEDS``, ``MINUTES`` and ``THREADS`` as in ``images.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import image_cases as cases
import numpy as np
from image_cases import DATA, Case, dataset

from rows import Bench

LAST = 192
FLIP: Mapping[str, Mapping[str, Any]] = {"augment": {"flip": "all"}}
CASES: Mapping[str, Case] = {
    "usual": Case(data="neu_det", settings={"epochs": 24}, parts=FLIP),
    "augment light": Case(data="neu_det", settings={"epochs": 24}, parts={"augment": {"flip": "all", "colour": 0.4}}),
    "own light": Case(data="neu_det", settings={"epochs": 24, "light": "own"}, parts=FLIP),
    "own light, both": Case(
        data="neu_det",
        settings={"epochs": 24, "light": "own"},
        parts={"augment": {"flip": "all", "colour": 0.4}},
    ),
    "own light, whole size": Case(data="neu_det", settings={"epochs": 24, "light": "own", "size": 200}, parts=FLIP),
    "own light, whole size, longer": Case(
        data="neu_det",
        settings={"epochs": 40, "light": "own", "size": 200},
        parts={**FLIP, "average": {"kind": "ema"}},
    ),
}
"""By name, what is trained; the last is what ``images.py`` takes."""


def measure(case: Case, seed: int) -> Mapping[str, Any]:
    """Train on the earlier files and score the later ones, with the bundle that would ship."""
    from steelyard.bundle import load

    data = dataset(case.data)
    rows, (cells,) = data.partition.development, data.rows.columns.values()
    number = np.array([int(re.search(r"_(\d+)\.", str(cells[row]))[1]) for row in rows])
    train, later = (data.rows.take(rows[which]) for which in (number <= LAST, number > LAST))
    folder = cases.KEPT / f"run-light-{os.getpid()}"
    _, spent = cases.trained(case, train, data, seed, folder)
    try:
        bundle = load(folder, threads=1)
        told = bundle.answer(later.columns).decided
        size, milliseconds = cases.bytes_of(folder), cases.latency(bundle, later)
    finally:
        cases.remove(folder)
    return {
        **spent,
        **cases.figures(told, later.target, data.task.width),
        "size_bytes": size,
        "p50_ms": milliseconds,
    }


def main() -> None:
    """Measure what is missing, then print a line a case."""
    bench = Bench("deep-light", packages=("numpy", "onnxruntime", "torch"))
    only, seeds = os.environ.get("ONLY", ""), int(os.environ.get("SEEDS", "1"))
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds neu_det/")
    for seed in range(seeds if DATA.is_dir() else 0):
        for name, case in CASES.items():
            if name.startswith(only):
                bench.measure({"case": name}, lambda c=case, s=seed: measure(c, s), seed=seed)
    for name in CASES:
        if rows := bench.rows(case=name):
            print(cases.shown(name, rows))
    bench.finish()


if __name__ == "__main__":
    main()
