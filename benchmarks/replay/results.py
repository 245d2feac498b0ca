"""Published results as arrays: one row a table, one column a look (a family, and how it was used)."""

from __future__ import annotations

import csv
import gzip
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("CAT", "EBM", "FASTAI", "GBM", "KNN", "LR", "NN_TORCH", "PB", "RF", "XGB", "XT")
"""The families that need no GPU."""
KINDS = ("default", "tuned", "tuned + ensemble")
PUBLISHED = "2026-08-21"
"""Date of the results' commit in the TabArena repository."""


@dataclass(frozen=True)
class Results:
    """Errors and seconds of shape (tables, looks); ``rows`` and ``columns`` of shape (tables,).

    ``answering`` is seconds for 1,000 rows; ``bounded`` says where the error is a share (1 - AUC, log loss).
    """

    names: tuple[str, ...]
    metrics: tuple[str, ...]
    looks: tuple[str, ...]
    test: np.ndarray
    valid: np.ndarray
    training: np.ndarray
    answering: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    date: str = PUBLISHED

    @property
    def bounded(self) -> np.ndarray:
        return np.array([name != "rmse" for name in self.metrics])

    def take(self, tables: Sequence[int]) -> Results:
        """Return some tables."""
        at = np.array(list(tables), dtype=int)
        arrays = ("test", "valid", "training", "answering", "rows", "columns")
        named = {name: tuple(getattr(self, name)[i] for i in at) for name in ("names", "metrics")}
        return replace(self, **named, **{name: getattr(self, name)[at] for name in arrays})

    @staticmethod
    def family_of(look: str) -> str:
        return look.partition(" (")[0]

    @staticmethod
    def kind_of(look: str) -> str:
        return look.partition(" (")[2].rstrip(")")


def where() -> Path:
    """Return the file of published results: of ``STEELYARD_DATA``, else beside the checkout."""
    base = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
    return base / "tabarena_lite" / "results.csv.gz"


def read_results(
    path: Path | None = None, *, families: Sequence[str] = FAMILIES, kinds: Sequence[str] = KINDS
) -> Results | None:
    """Read the tables that have every look; ``None``, with a sentence, where there is no file."""
    path = path or where()
    if not path.exists():
        print(
            f"published results are not at {path}: set STEELYARD_DATA, or name a file with --results", file=sys.stderr
        )
        return None
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["metric_error_val"] and line["time_train_s"]]
    looks = tuple(f"{family} ({kind})" for family in families for kind in kinds)
    by_table: dict[str, dict[str, dict[str, str]]] = {}
    for line in lines:
        by_table.setdefault(line["dataset"], {})[line["method"]] = line
    names = tuple(sorted(name for name, found in by_table.items() if all(look in found for look in looks)))

    def figures(field: str) -> np.ndarray:
        return np.array([[float(by_table[name][look][field]) for look in looks] for name in names])

    first = [by_table[name][looks[0]] for name in names]
    rows = np.array([float(line["num_instances"]) for line in first])
    tested = rows / 3  # one of three outer folds
    return Results(
        names=names,
        metrics=tuple(line["metric"] for line in first),
        looks=looks,
        test=figures("metric_error"),
        valid=figures("metric_error_val"),
        training=figures("time_train_s"),
        answering=figures("time_infer_s") / tested[:, None] * 1000,
        rows=rows,
        columns=np.array([float(line["num_features"]) for line in first]),
        date=PUBLISHED if path == where() else date.today().isoformat(),  # noqa: DTZ011 - a day, for people
    )
