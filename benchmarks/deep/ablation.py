"""What each lever brings and costs on ``cifar10_12k``: ``python benchmarks/deep/ablation.py``.

One net, the same epochs, one lever at a time; a lever's effect is its accuracy less that of the training without any,
on the same test rows. Intervals are 95% bootstrap intervals over test rows. ``EPOCHS=8`` (the default) keeps a row to
a few minutes on two cores; ``ONLY``, ``SEEDS``, ``MINUTES`` and ``THREADS`` as in ``images.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import image_cases as cases
import numpy as np
from image_cases import DATA, Case, Parts

from rows import Bench, Row

EPOCHS = int(os.environ.get("EPOCHS", "8"))
LEVERS: Mapping[str, Parts] = {
    "nothing": {},
    "mixed-precision": {"mixed-precision": {"precision": "bf16"}},
    "augment flip": {"augment": {"flip": "sideways"}},
    "augment flip, cutout, zoom": {"augment": {"flip": "sideways", "cutout": 0.25, "zoom": 0.15}},
    "augment flip, random": {"augment": {"flip": "sideways", "random": 0.4}},
    "augment flip, mixup": {"augment": {"flip": "sideways", "mixup": 0.2}},
    "augment flip all (wrong here)": {"augment": {"flip": "all"}},
    "resize 0.5": {"resize": {"share": 0.5}},
    "average ema": {"average": {"kind": "ema"}},
    "regularise smoothing": {"regularise": {"label_smoothing": 0.1}},
    "schedule cosine": {"schedule": {"kind": "cosine", "warm_up": 0.1}},
    "self-supervised": {"self-supervised": {"epochs": EPOCHS}},
    "adversarial": {"adversarial": {"epsilon": 2.0, "steps": 1}},
    "flip, smoothing, ema, bf16": {
        "augment": {"flip": "sideways"},
        "regularise": {"label_smoothing": 0.1},
        "average": {"kind": "ema"},
        "mixed-precision": {"precision": "bf16"},
    },
}
"""By name, the levers of a training."""


def main() -> None:
    """Measure what is missing, then print the table."""
    bench = Bench("deep-ablation", packages=("numpy", "onnxruntime", "torch"))
    only, seeds = os.environ.get("ONLY", ""), int(os.environ.get("SEEDS", "1"))
    for seed in range(seeds if DATA.is_dir() else 0):
        for name, parts in LEVERS.items():
            if name.startswith(only):
                case = Case(data="cifar10_12k", settings={"epochs": EPOCHS}, parts=parts)
                named = {"lever": name, "epochs": EPOCHS}
                bench.measure(named, lambda c=case, s=seed: cases.measure(c, s), seed=seed)
    base = bench.rows(lever="nothing", epochs=EPOCHS)
    for name in LEVERS:
        if rows := bench.rows(lever=name, epochs=EPOCHS):
            print(cases.shown(name, rows) + effect(rows, base))
    bench.finish()


def effect(rows: Sequence[Row], base: Sequence[Row]) -> str:
    """Return what a lever changes: points of accuracy, and times as long."""
    if not base:
        return ""
    points = np.mean([row["accuracy"]["value"] for row in rows]) - np.mean([row["accuracy"]["value"] for row in base])
    times = np.mean([row["core_seconds"] for row in rows]) / np.mean([row["core_seconds"] for row in base])
    return f"  {100 * points:+.1f} points, {times:.2f} times as long"


if __name__ == "__main__":
    main()
