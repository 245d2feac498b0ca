"""Bar 5, images: ``python benchmarks/deep/images.py``.

``mnist_10k``, ``neu_det`` (a folder of class folders), ``bccd`` (cropped blood cells) and ``cifar10_12k``, each by a
net that is trained from nothing with its defaults and the levers named here, which are levers that a search proposes
(of ``neu_det`` also with settings that were chosen on its training rows: ``light.py``);
then ``neu_det`` from 5, 20 and 50 labels a class, with and without a start from the bundle that was trained on
``cifar10_12k``. The levers one by one are in ``ablation.py``.

``ONLY=bccd`` measures one set, ``SEEDS=3`` several seeds, ``MINUTES=4`` starts nothing after that time, ``THREADS=1``
uses one core; a second call goes on. Data: ``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import image_cases as cases
import light
import numpy as np
from image_cases import DATA, Case, Parts, dataset

from rows import Bench, Row

MINUTES = 12
BF16: Parts = {"mixed-precision": {"precision": "bf16"}}
WHOLE: Mapping[str, Case] = {
    "mnist_10k": Case(data="mnist_10k", settings={}, parts={}),
    "neu_det": light.CASES["own light, whole size, longer"],
    "cifar10_12k": Case(data="cifar10_12k", settings={}, parts={"augment": {"flip": "sideways"}}),
}
"""Sets of which every row that is no test row trains."""
FEW = {"epochs": 40, "light": "own"}
LABELS = (5, 20, 50)


def cells(seed: int) -> Mapping[str, Any]:
    """Train on the training side of bccd, choose the threshold of white cells on its validation side, score the test.

    A cell is called white from a probability on, which is chosen on validation rows: see :func:`threshold_of`.
    """
    from steelyard.bundle import load

    data = dataset("bccd")
    case = Case(data="bccd", settings={}, parts={"augment": {"flip": "all"}})
    valid, test = (data.rows.take(rows) for rows in (data.partition.scored, data.partition.test))
    train = data.rows.take(np.setdiff1d(data.partition.development, data.partition.scored))
    folder = cases.KEPT / f"run-bccd-{os.getpid()}"
    _, spent = cases.trained(case, train, data, seed, folder)
    try:
        bundle = load(folder, threads=1)
        chosen, scores = (bundle.answer(rows.columns).scores for rows in (valid, test))
        milliseconds = cases.latency(bundle, test)
        size = cases.bytes_of(folder)
    finally:
        cases.remove(folder)
    white = data.task.classes.index(cases.WHITE)
    threshold = threshold_of(chosen, valid.target, white)
    plain = cases.figures(scores.argmax(1), test.target, data.task.width)
    row = cases.figures(decided(scores, white, threshold), test.target, data.task.width)
    return {
        **spent,
        **row,
        "white_recall": row["recall"][white],
        "white_rows": int((test.target == white).sum()),
        "threshold": threshold,
        "without_threshold": plain["balanced_accuracy"]["value"],
        "p50_ms": milliseconds,
        "size_bytes": size,
    }


def decided(scores: Any, white: int, threshold: float) -> Any:
    """Return class codes: white from a threshold on, otherwise the more probable of the others."""
    others = scores.copy()
    others[:, white] = -1
    return np.where(scores[:, white] >= threshold, white, others.argmax(1))


def threshold_of(scores: Any, target: Any, white: int) -> float:
    """Return the lowest threshold whose balanced accuracy is within its own standard error of the best one's.

    Of equals that few rows cannot tell apart, the one that misses the fewest white cells: the rule of one standard
    error (Breiman, Friedman, Olshen, Stone: Classification and Regression Trees, 1984).
    """
    found = []
    for threshold in np.linspace(0.02, 0.98, 49):
        right = decided(scores, white, threshold) == target
        if right[target == white].mean() >= cases.WANTED:
            found.append((cases.balanced(right, target, scores.shape[1]), threshold, right))
    if not found:
        return 0.02
    best, _, right = max(found, key=lambda one: one[0])
    groups = [right[target == code] for code in np.unique(target)]
    error = np.sqrt(sum(max(one.mean() * (1 - one.mean()), 1 / len(one) ** 2) / len(one) for one in groups)) / len(
        groups
    )
    return float(min(threshold for value, threshold, _ in found if value >= best - error))


def at_least(field: str, least: float) -> Any:
    """Make a bar: the mean over seeds of a figure is at least a number."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        values = [row[field]["value"] for row in rows]
        low, high = (np.mean([row[field][end] for row in rows]) for end in ("low", "high"))
        return np.mean(values) >= least, f"{np.mean(values):.4f} ({low:.4f} to {high:.4f}), {len(values)} seeds"

    return met


def white_cells(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether white cells are found at the chosen threshold."""
    values, thresholds = ([row[field] for row in rows] for field in ("white_recall", "threshold"))
    held = f"{rows[0]['white_rows']} white cells, threshold {np.mean(thresholds):.2f}"
    return np.mean(values) >= cases.WANTED, f"{np.mean(values):.4f}; {held}, {len(values)} seeds"


def in_time(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether training took at most the minutes on two cores: by the clock, or by what the cores computed."""
    clock = np.mean([row["seconds"] for row in rows])
    cores = np.mean([row["core_seconds"] for row in rows]) / 2
    busy = np.mean([row["load"] for row in rows])
    said = f"{clock:.0f} s by the clock at a load of {busy:.1f}, {cores:.0f} s of two cores"
    return min(clock, cores) <= 60 * MINUTES, said


def few(labels: int, start: str) -> Case:
    """Return a training from few labels."""
    checkpoint = "cifar10_12k" if start == "cifar10_12k" else None
    parts = {"augment": {"flip": "all"}}
    return Case(data="neu_det", settings=FEW, parts=parts, labels=labels, checkpoint=checkpoint)


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    bench = Bench("deep-images", packages=("numpy", "onnxruntime", "torch"))
    only, seeds = os.environ.get("ONLY", ""), int(os.environ.get("SEEDS", "1"))
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds mnist_10k/ and the others")
    for seed in range(seeds if DATA.is_dir() else 0):
        for name, case in WHOLE.items():
            if name.startswith(only):
                bench.measure({"set": name}, lambda c=case, s=seed: cases.measure(c, s), seed=seed)
        if "bccd".startswith(only):
            bench.measure({"set": "bccd"}, lambda s=seed: cells(s), seed=seed)
        for labels in LABELS:
            for start in ("nothing", "cifar10_12k"):
                if "few".startswith(only):
                    case = few(labels, start)
                    named = {"set": "neu_det", "labels": labels, "start": start}
                    bench.measure(named, lambda c=case, s=seed: cases.measure(c, s), seed=seed)
    report(bench)
    bench.finish()


def report(bench: Bench) -> None:
    """Print a line a case, then the bars."""
    for name in (*WHOLE, "bccd"):
        if rows := plain(bench, name):
            print(cases.shown(name, rows))
    for labels in LABELS:
        for start in ("nothing", "cifar10_12k"):
            if rows := bench.rows(set="neu_det", labels=labels, start=start):
                print(cases.shown(f"neu_det, {labels} labels, from {start}", rows))
    bench.bar("mnist_10k: accuracy >= 0.985", plain(bench, "mnist_10k"), at_least("accuracy", 0.985))
    bench.bar("neu_det: accuracy >= 0.98", plain(bench, "neu_det"), at_least("accuracy", 0.98))
    bench.bar("bccd: balanced accuracy >= 0.97", plain(bench, "bccd"), at_least("balanced_accuracy", 0.97))
    bench.bar("bccd: recall of white cells >= 0.98", plain(bench, "bccd"), white_cells)
    bench.bar("cifar10_12k: accuracy >= 0.70", plain(bench, "cifar10_12k"), at_least("accuracy", 0.70))
    bench.bar(f"cifar10_12k: within {MINUTES} minutes", plain(bench, "cifar10_12k"), in_time)


def plain(bench: Bench, name: str) -> list[Row]:
    """Return the rows of a whole set, not those from few labels."""
    return list(bench.rows(set=name, labels=None))


if __name__ == "__main__":
    main()
