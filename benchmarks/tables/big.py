"""A million rows of thirty columns inside 12 GiB: ``python benchmarks/tables/big.py``.

The table is made anew from a fixed seed: 18 numbers (some skewed, some with gaps, one in epoch seconds), 10
categories of 2 to 5,000 names, a date and a short text; the target is a noisy function of eight of them, one row in
ten positive. It is written as CSV, which is what most people bring. The tree of processes is watched, and ended where
it holds more than 12 GiB.

``BIG_ROWS`` and ``BIG_SECONDS`` (1,000,000 and 300) make it smaller for a try, whose row is not kept.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from process import run
from store import CACHE, Bench, ignored

from measure import end_of

ROWS, SECONDS = 1_000_000, 300
MOST_BYTES = 12 * 2**30
CARDINALITIES = (2, 3, 5, 8, 12, 30, 100, 400, 1_500, 5_000)
GAPS = 0.07
WORDS = ("refund", "late", "broken", "thanks", "urgent", "invoice", "missing", "parcel", "again", "please")


def table(rows: int) -> pl.DataFrame:
    """Return the table, the same at every call."""
    random = np.random.default_rng(20_261_122)
    numbers = {f"n{i:02}": random.normal(size=rows) for i in range(9)}
    numbers |= {f"s{i:02}": random.lognormal(1, 1 + i / 10, size=rows).round(2) for i in range(8)}
    codes = {f"c{i:02}": _skewed(random, rows, count) for i, count in enumerate(CARDINALITIES)}
    when = random.integers(1_577_836_800, 1_735_689_600, size=rows)  # 2020 to 2024
    words = random.integers(len(WORDS), size=(rows, 3))
    effect = {f"c{i:02}": random.normal(size=count) for i, count in enumerate(CARDINALITIES)}
    signal = (
        numbers["n00"]
        + 0.7 * numbers["n01"] * numbers["n02"]
        - np.log(numbers["s00"])
        + np.sin(3 * numbers["n03"])
        + effect["c03"][codes["c03"]]
        + effect["c08"][codes["c08"]]
        + 0.8 * (words[:, 0] == 0)
        + 0.5 * ((when // 86_400) % 7 >= 5)
        + random.logistic(size=rows)
    )
    for name in ("n04", "s03", "n01"):
        numbers[name][random.random(rows) < GAPS] = np.nan
    return pl.DataFrame(
        {
            **{name: pl.Series(values).fill_nan(None).round(6) for name, values in numbers.items()},
            "seen": when,
            **{name: pl.Series(code).cast(pl.String).str.replace("^", f"{name}-") for name, code in codes.items()},
            "day": pl.from_epoch(pl.Series(when), time_unit="s").dt.date(),
            "note": [" ".join(WORDS[i] for i in three) for three in words.tolist()],
            "target": np.where(signal > np.quantile(signal, 0.9), "yes", "no"),
        }
    )


def _skewed(random: np.random.Generator, rows: int, count: int) -> np.ndarray:
    """Draw names of which few are frequent and many are rare."""
    share = 1 / np.arange(1, count + 1) ** 0.9
    return random.choice(count, size=rows, p=share / share.sum())


def measure(rows: int, seconds: int) -> dict[str, Any]:
    """Write the table, run Steelyard on it, and return what the row keeps."""
    folder = ignored(CACHE) / "big"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = table(rows)
    made.write_csv(folder / "big.csv")
    asked = {
        "data": str(folder / "big.csv"),
        "target": "target",
        "positive": "yes",
        "quality": {"metric": "roc_auc"},
        "budget": {"minutes": seconds / 60},
    }
    (folder / "spec.yaml").write_text(json.dumps(asked), encoding="utf-8")  # JSON is YAML
    steelyard = Path(sys.executable).with_name("steelyard")
    command = [steelyard, "run", folder / "spec.yaml", "--out", folder / "run", "--json"]
    log = folder / "log"
    ran = run(command, log=log, limit=3 * seconds, cores=2, cwd=folder, most_bytes=MOST_BYTES)
    usable = ran.code in {0, 20} and not ran.late
    chosen, story = _story(folder) if usable else ("", f"no bundle ({end_of(log)})")
    size = (folder / "big.csv").stat().st_size
    result = {
        "asked": seconds,
        "seconds": ran.seconds,
        "peak_bytes": ran.peak_bytes,
        "resident_bytes": ran.resident_bytes,
        "csv_bytes": size,
        "met": chosen not in {"", "constant"} and ran.peak_bytes <= MOST_BYTES,
        "note": f"{rows:,} x {made.width - 1}, {size / 1e6:.0f} MB of CSV: {story}",
    }
    if not os.environ.get("KEEP"):
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _story(folder: Path) -> tuple[str, str]:
    """Return the recipe that ships, and a sentence on the run."""
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    chosen, test = report["decision"]["recipe"], report["decision"]["test"]["roc_auc"]
    return chosen, f"{len(report['trials'])} trials, {chosen}, ROC AUC {test['value']:.4f}"


def main() -> None:
    """Measure unless the row is known, and print it."""
    rows, seconds = (
        int(os.environ.get(name) or least) for name, least in (("BIG_ROWS", ROWS), ("BIG_SECONDS", SECONDS))
    )
    if (rows, seconds) != (ROWS, SECONDS):
        print(json.dumps(measure(rows, seconds), indent=1))
        return
    bench = Bench("tables_big", packages=("numpy", "polars", "onnxruntime", "lightgbm", "scikit-learn"))
    bench.measure({"rows": rows, "columns": 30}, lambda: measure(rows, seconds))
    for row in bench.rows(rows=rows):
        print(f"{row['peak_bytes'] / 2**30:.2f} GiB at the peak, {row['seconds']:.0f} of {seconds} s; {row['note']}")


if __name__ == "__main__":
    main()
