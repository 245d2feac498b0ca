"""The example specs on real data, against the references of the data catalogue: ``make bench-examples``.

Each spec of ``examples/`` is run as a user would, by the command line. The test figure of what ships is held against
the reference that the catalogue of the data gives for the same rows (scikit-learn: gradient-boosted trees with
defaults for tables, TF-IDF with a linear SVM for text, an RBF SVM for digits). For the bikes, which are split by time
here and by index there, the reference is fitted anew on the very rows.

Data is looked for in ``STEELYARD_DATA``, else in ``../shared/data``; what is missing is a bar not met.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
STEELYARD = Path(sys.executable).with_name("steelyard")
REFERENCES = {
    "german_credit": ("roc_auc", 0.786),
    "titanic": ("roc_auc", 0.837),
    "bike_sharing_hourly": ("rmse", None),
    "banking77": ("accuracy", 0.8948),
    "chnsenticorp_hotel_zh": ("accuracy", 0.9044),
    "mnist_10k": ("accuracy", 0.9745),
    "mixed": ("roc_auc", 0.837),
}
"""Metric and catalogue figure of each example; ``None`` is fitted here."""
LOWER_IS_BETTER = {"rmse"}


def run(name: str) -> Mapping[str, Any]:
    """Run one example and return what its row keeps."""
    metric, reference = REFERENCES[name]
    environment = {**os.environ, "STEELYARD_DATA": str(DATA)}
    with tempfile.TemporaryDirectory() as folder:
        command = [STEELYARD, "run", ROOT / "examples" / f"{name}.yaml", "--out", Path(folder) / "run", "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        seconds = time.perf_counter() - began
        if done.returncode not in {0, 20}:
            raise ValueError(done.stderr.strip()[-500:])
        report = json.loads(done.stdout)
        asked = minutes(name) * 60
        if reference is None:
            reference = bikes(Path(folder) / "run")
    decision, figure = report["decision"], report["decision"]["test"][metric]
    return {
        "metric": metric,
        "test": {k: figure[k] for k in ("value", "low", "high")},
        "reference": reference,
        "recipe": decision["recipe"],
        "feasible": decision["feasible"],
        "p95_ms": decision["latency_ms"]["p95"],
        "cost_per_million": decision["cost_per_million"],
        "size_bytes": decision["size_bytes"],
        "trials": len(report["trials"]),
        "money": report["spent"]["money"],
        "seconds": seconds,
        "asked": asked,
    }


def minutes(name: str) -> float:
    """Return the budget of an example's spec, in minutes."""
    import yaml

    return float(yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))["budget"]["minutes"])


def bikes(folder: Path) -> float:
    """Return the RMSE on test of gradient-boosted trees with defaults, fitted on everything else of a run's rows."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    from steelyard.data import store

    dataset = store.read(folder)
    matrix = np.column_stack([dataset.rows.columns[c.name] for c in dataset.schema.features]).astype(float)
    learn, test, target = dataset.partition.development, dataset.partition.test, dataset.rows.target
    model = HistGradientBoostingRegressor(random_state=0).fit(matrix[learn], target[learn])
    return float(np.sqrt(np.mean((model.predict(matrix[test]) - target[test]) ** 2)))


def not_below(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether the reference lies within or below the test interval."""
    row = rows[-1]
    test, reference = row["test"], row["reference"]
    fine = test["low"] <= reference if row["metric"] in LOWER_IS_BETTER else test["high"] >= reference
    span = f"{test['value']:.4g} ({test['low']:.4g} to {test['high']:.4g})"
    figures = f"p95 {row['p95_ms']:.2f} ms, {row['cost_per_million']:.3g} USD per million, {row['trials']} trials"
    return fine, f"{row['metric']} {span}, reference {reference:.4g}; {figures}; {row['recipe'][:80]}"


def in_budget(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether the command took at most 1.02 times what was asked plus a second."""
    row = rows[-1]
    return row["seconds"] <= 1.02 * row["asked"] + 1, f"{row['seconds']:.1f} s of {row['asked']:.0f} s"


def main() -> None:
    """Run what is missing, then hold the rows against the bars."""
    bench = Bench("examples", packages=("numpy", "onnxruntime", "scikit-learn", "lightgbm", "torch"))
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds german_credit/ and the others")
    for name in REFERENCES:
        if DATA.is_dir():
            bench.measure({"example": name}, lambda name=name: run(name))
    for name in REFERENCES:
        rows = bench.rows(example=name)
        bench.bar(f"{name} not below its reference by more than the interval", rows, not_below)
        bench.bar(f"{name} within its budget", rows, in_budget)
    bench.finish()


if __name__ == "__main__":
    main()
