"""The tables that every tool is given: which file, which columns, which rows are for the test.

The split is the catalogue's: a row is for the test where ``crc32(str(i)) % 5 == 0`` of its index from 0, or where a
column says so. The cells are copied as they stand in the source, so no tool reads a number that another rounded.
Test targets lie in a folder of their own, which no tool is ever told of.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import CACHE, ROOT

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
SMALL = 5_000
"""Sets with fewer rows than this are run with several seeds."""
TIMED_ROWS = 256
"""Test rows that are kept as dicts, to time single rows with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One set: where it is, what is asked of it, and how many rows the catalogue says it has."""

    name: str
    target: str
    problem: str
    rows: int
    file: str = ""
    drop: tuple[str, ...] = ()
    """Columns that leak, or name the row: left out for every tool alike."""
    side: str | None = None
    """Column that says train or test."""

    @property
    def metric(self) -> str:
        return METRICS[self.problem]

    @property
    def small(self) -> bool:
        return self.rows < SMALL

    @property
    def path(self) -> Path:
        return DATA / (self.file or f"{self.name}/data.csv.gz")


def _pmlb(name: str, problem: str, rows: int) -> Table:
    return Table(name=name, target="target", problem=problem, rows=rows, file=f"pmlb/{name}.tsv.gz")


_ALL = (
    Table(name="german_credit", target="target", problem="binary", rows=1_000),
    _pmlb("churn", "binary", 5_000),
    _pmlb("562_cpu_small", "regression", 8_192),
    _pmlb("vehicle", "multiclass", 846),
    Table(name="adult_income", target="income", problem="binary", rows=48_842, side="split"),
    _pmlb("cmc", "multiclass", 1_473),
    Table(name="abalone", target="rings", problem="regression", rows=4_177),
    Table(name="telco_churn", target="Churn", problem="binary", rows=7_043, drop=("customerID",)),
    _pmlb("satimage", "multiclass", 6_435),
    Table(name="titanic", target="Survived", problem="binary", rows=891, drop=("PassengerId",)),
    Table(
        name="bike_sharing_hourly",
        target="cnt",
        problem="regression",
        rows=17_379,
        drop=("instant", "dteday", "casual", "registered"),
    ),
    _pmlb("spambase", "binary", 4_601),
    _pmlb("connect_4", "multiclass", 67_557),
    Table(
        name="student_performance_por",
        target="target",
        problem="binary",
        rows=649,
        drop=("G1", "G2"),
    ),
    _pmlb("car", "multiclass", 1_728),
    _pmlb("201_pol", "regression", 15_000),
    _pmlb("phoneme", "binary", 5_404),
    _pmlb("splice", "multiclass", 3_188),
    Table(
        name="horse_colic",
        target="surgical_lesion",
        problem="binary",
        rows=300,
        drop=("outcome", "lesion_1", "lesion_2", "lesion_3"),
    ),
    _pmlb("yeast", "multiclass", 1_479),
    _pmlb("537_houses", "regression", 20_640),
)
SETS: Mapping[str, Table] = {table.name: table for table in _ALL}
"""In an order that mixes sizes and problems, so that a table that is filled halfway is a fair half."""
PLANNED = frozenset(list(SETS)[:12])
"""The sets that the bars are about. The others are measured, and count, where ``SETS`` names them (``SETS=more``)."""


def is_test(index: int) -> bool:
    """Tell by the catalogue's rule whether a row is for the test; ``index`` is from 0.

    >>> [i for i in range(20) if is_test(i)]
    [6, 12]
    """
    return zlib.crc32(str(index).encode()) % 5 == 0


def folder_of(table: Table) -> Path:
    """Return what the tools are given of a set: ``train.csv``, ``test.csv`` without target, ``rows.json``."""
    return CACHE / "sets" / table.name


def answers_of(table: Table) -> Path:
    """Return the file of the test targets."""
    return CACHE / "answers" / f"{table.name}.json"


def about(table: Table) -> dict[str, Any]:
    """Write a set's files unless they are there, and return what its ``about.json`` says.

    Raises
    ------
    ValueError
        If the source is not the file that the catalogue describes.
    """
    place = folder_of(table) / "about.json"
    if not place.exists():
        _write(table)
    return dict(json.loads(place.read_text(encoding="utf-8")))


def read_source(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns and the cells as text."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t" if ".tsv" in path.name else ",")
        names = next(rows)
        return names, list(rows)


def _write(table: Table) -> None:
    names, cells = read_source(table.path)
    if len(cells) != table.rows:
        raise ValueError(f"{table.path} has {len(cells):,} rows; the catalogue says {table.rows:,}")
    place, answers = folder_of(table), answers_of(table)
    for folder in (place, answers.parent):
        folder.mkdir(parents=True, exist_ok=True)
    test = [row for i, row in enumerate(cells) if _tests(table, names, i, row)]
    train = [row for i, row in enumerate(cells) if not _tests(table, names, i, row)]
    features = [n for n in names if n not in {table.target, table.side, *table.drop}]
    kinds = {n: _kind([row[names.index(n)] for row in cells]) for n in features}
    _csv(place / "train.csv", [*features, table.target], names, train)
    _csv(place / "test.csv", features, names, test)
    at = names.index(table.target)
    answers.write_text(json.dumps([row[at] for row in test]), encoding="utf-8")
    dicts = [{n: _cell(kinds[n], row[names.index(n)]) for n in features} for row in test[:TIMED_ROWS]]
    (place / "rows.json").write_text(json.dumps(dicts), encoding="utf-8")
    facts = {
        "columns": kinds,
        "target": table.target,
        "problem": table.problem,
        "metric": table.metric,
        "train": len(train),
        "test": len(test),
        "constant": _constant(table.problem, [row[at] for row in train]),
    }
    (place / "about.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _tests(table: Table, names: Sequence[str], index: int, row: Sequence[str]) -> bool:
    if table.side is not None:
        return row[names.index(table.side)] == "test"
    return is_test(index)


def _kind(cells: Sequence[str]) -> str:
    try:
        for cell in cells:
            float(cell or 0)
    except ValueError:
        return "text"
    return "number"


def _cell(kind: str, cell: str) -> object:
    """Return a cell as a program would hold it: int, float or str; NaN and ``None`` where there is none."""
    if kind == "text":
        return cell or None
    if not cell:
        return math.nan
    number = float(cell)
    return int(cell) if cell.lstrip("-").isdigit() else number


def _constant(problem: str, target: Sequence[str]) -> Any:
    """Return what a model answers that looks at no column: the mean, or the share of each class in training."""
    if problem == "regression":
        return math.fsum(map(float, target)) / len(target)
    return {name: target.count(name) / len(target) for name in sorted(set(target))}


def _csv(path: Path, keep: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    index = [names.index(name) for name in keep]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(keep)
        writer.writerows([row[i] for i in index] for row in rows)
