"""Rows that a bundle is asked about, with or without their targets, and what it answers: read and written."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Problem, Schema, Task
from steelyard.data.coerce import NotThisKind, category_of, is_missing, number_of
from steelyard.data.frames import cells_of, names_of
from steelyard.data.heaps import beside, is_heap, rows_of_files
from steelyard.data.plain import CSV_ENDINGS, JSON_ENDINGS, ending_of, read_plain
from steelyard.data.readers.columnar import read_parquet
from steelyard.errors import DataUnreadable, RowsRefused, RunUnwritable, nearest


def read_rows(rows: Any, reads: Schema | None = None, target: str = "label") -> Any:
    """Return a frame: of a file what it holds, of anything else itself.

    CSV and JSON Lines are read with the standard library, Parquet with polars.

    Parameters
    ----------
    rows
        A path, or a frame.
    reads
        What the bundle reads: names of images and sounds are then looked for beside the file, and a folder or zip of
        them is one row a file, its folder the ``target``.

    Raises
    ------
    DataUnreadable
        If the file is not there or cannot be read.
    """
    if not isinstance(rows, str | os.PathLike):
        return rows
    path = Path(rows)
    if not path.exists():
        raise DataUnreadable(f"there is no file {path}; check the path")
    if reads is not None and is_heap(path):
        return rows_of_files(path, reads, target)
    if ending_of(path) in (*CSV_ENDINGS, *JSON_ENDINGS):
        frame: Any = read_plain(path)
    elif ending_of(path) in {".parquet", ".pq"}:
        frame = read_parquet(path)
    else:
        raise DataUnreadable(f"{path} is not a file of rows; give CSV, JSON Lines or Parquet")
    return frame if reads is None else beside(frame, reads, path.parent)


def count(frame: Any) -> int:
    """Return the number of rows of a frame."""
    names = names_of(frame)
    return len(cells_of(frame, names[0])) if names else 0


def targets(frame: Any, task: Task) -> NDArray[Any]:
    """Return the coded targets of labelled rows: int64 class codes, or float64 values, shape (n,).

    Raises
    ------
    RowsRefused
        If the target column is absent, a cell of it is missing, or it holds a class that the bundle never saw.
    """
    names = names_of(frame)
    if task.target not in names:
        raise RowsRefused(
            f"the rows have no column {task.target!r}{nearest(task.target, names)}, which holds the target; add it"
        )
    cells = list(cells_of(frame, task.target))
    for row, cell in enumerate(cells):
        if is_missing(cell):
            raise RowsRefused(f"row {row} (from 0) has no {task.target!r}; leave out rows without a target")
    if task.problem is Problem.REGRESSION:
        return np.array([_finite(cell, row, task.target) for row, cell in enumerate(cells)], np.float64)
    codes = {name: code for code, name in enumerate(task.classes)}
    found = [category_of(cell) for cell in cells]
    if strange := sorted({str(name) for name in found if name not in codes}):
        raise RowsRefused(
            f"{task.target!r} holds {', '.join(map(repr, strange[:5]))}, which the bundle never saw; "
            f"it knows {', '.join(map(repr, task.classes[:10]))}"
        )
    return np.array([codes[str(name)] for name in found], np.int64)


def stakes(frame: Any, task: Task) -> Floats | None:
    """Return the money at stake in labelled rows, shape (n, amounts of the task); ``None`` where the task has none.

    Raises
    ------
    RowsRefused
        If a column is absent, or a cell of it is no number of 0 or more.
    """
    if not task.amounts:
        return None
    names, found = names_of(frame), []
    for column in (amount.column for amount in task.amounts):
        if column not in names:
            raise RowsRefused(
                f"the rows have no column {column!r}{nearest(column, names)}, which holds the money at stake; add it"
            )
        found.append([_stake(cell, row, column) for row, cell in enumerate(cells_of(frame, column))])
    return np.array(found, np.float64).T


def _stake(cell: object, row: int, name: str) -> float:
    try:
        value = math.nan if is_missing(cell) else number_of(cell)
    except NotThisKind:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise RowsRefused(
            f"row {row} (from 0) of {name!r} holds {cell!r}, and the money at stake must be a number of 0 or more; "
            "correct it, or leave the row out"
        )
    return value


def _finite(cell: object, row: int, name: str) -> float:
    try:
        value = number_of(cell)
    except NotThisKind:
        value = math.nan
    if not math.isfinite(value):
        raise RowsRefused(
            f"row {row} (from 0) of the target {name!r} holds {cell!r}, which is not a finite number; correct it, or "
            "leave the row out"
        )
    return value


def sample(frame: Any, names: Sequence[str], most: int) -> list[Mapping[str, object]]:
    """Return the first rows as dicts of the named columns that are there."""
    there = [name for name in names if name in names_of(frame)]
    columns = [list(cells_of(frame, name))[:most] for name in there]
    return [dict(zip(there, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions in the order of the rows: a class name or a value each, and one probability a class."""

    prediction: list[object]
    probabilities: Mapping[str, list[float]]
    ignored: tuple[str, ...] = ()
    """Columns of the rows that the bundle does not know, the target left out."""

    def rows(self) -> list[dict[str, object]]:
        """Return one dict a row: ``prediction``, then ``probability_<class>``."""
        names = [f"probability_{name}" for name in self.probabilities]
        columns = [self.prediction, *self.probabilities.values()]
        return [dict(zip(["prediction", *names], row, strict=True)) for row in zip(*columns, strict=True)]

    def text(self, suffix: str) -> str:
        """Return the rows as CSV, or as JSON Lines where the file's name ends so."""
        if suffix in {".jsonl", ".ndjson"}:
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows())
        out = io.StringIO()
        names = ["prediction", *(f"probability_{name}" for name in self.probabilities)]
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return out.getvalue()

    def write(self, path: Path) -> None:
        """Write them to a file, whole or not at all; ``.gz`` is compressed.

        Raises
        ------
        RunUnwritable
            If the file cannot be written.
        """
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        data = self.text(plain.suffix).encode()
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            aside.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
            aside.replace(path)
        except OSError as problem:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            why = problem.strerror or problem
            raise RunUnwritable(f"cannot write {path}: {why}; name another file with -o") from problem
