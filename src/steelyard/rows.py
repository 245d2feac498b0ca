"""Rows that a bundle is asked about, with or without their targets, and what it answers: read and written."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Answer, Floats, Problem, Schema, Task
from steelyard.data.coerce import NotThisKind, category_of, is_missing, number_of, objects
from steelyard.data.conll import CONLL_ENDINGS, TOKENS, read_conll, write_conll
from steelyard.data.frames import cells_of, names_of
from steelyard.data.heaps import beside, is_heap, rows_of_files
from steelyard.data.plain import CSV_ENDINGS, JSON_ENDINGS, ending_of, read_plain
from steelyard.data.readers.columnar import read_parquet
from steelyard.data.tokenised import token_column
from steelyard.errors import DataUnreadable, RowsRefused, RunUnwritable, nearest
from steelyard.tasks.entities import entities_of
from steelyard.tasks.spans import as_iob2, codes_of


def read_rows(rows: Any, reads: Schema | None = None, target: str = "label") -> Any:
    """Return a frame: of a file what it holds, of anything else itself.

    CSV, JSON Lines and CoNLL are read with the standard library, Parquet with polars. The tags of a CoNLL file become
    the column of the target.

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
    elif ending_of(path) in CONLL_ENDINGS:
        frame = _of_conll(path, target)
    else:
        raise DataUnreadable(f"{path} is not a file of rows; give CSV, JSON Lines, Parquet or CoNLL")
    return frame if reads is None else beside(frame, reads, path.parent)


def _of_conll(path: Path, target: str) -> dict[str, list[Any]]:
    """Return the sentences of a CoNLL file; their tags, where any has some, as the target."""
    found = read_conll(path)
    columns: dict[str, list[Any]] = {TOKENS: list(found.tokens)}
    return columns | {target: list(found.tags)} if target and found.is_tagged else columns


def count(frame: Any) -> int:
    """Return the number of rows of a frame."""
    names = names_of(frame)
    return len(cells_of(frame, names[0])) if names else 0


def targets(frame: Any, task: Task) -> NDArray[Any]:
    """Return the coded targets of labelled rows: int64 class codes, rows of them, or float64 values, shape (n,).

    Raises
    ------
    RowsRefused
        If the target column is absent, a cell of it is missing, or it holds a class that the bundle never saw.
    """
    names = names_of(frame)
    if task.problem is Problem.TAGGING:
        return _tags(frame, names, task)
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


def labelled(frame: Mapping[str, list[Any]], task: Task) -> dict[str, list[Any]]:
    """Return the rows of gathered readings whose last reading has a target: the others cannot be judged.

    Raises
    ------
    RowsRefused
        If no row has one.
    """
    if task.target not in frame:
        return dict(frame)
    there = [not is_missing(cell) for cell in frame[task.target]]
    if not any(there):
        raise RowsRefused(f"no window ends at a reading with a {task.target!r}; fill it in to measure the model")
    return {name: [c for c, known in zip(cells, there, strict=True) if known] for name, cells in frame.items()}


def _tags(frame: Any, names: Sequence[str], task: Task) -> NDArray[Any]:
    """Return the coded tags of labelled rows, read as IOB2 whatever their scheme."""
    if task.target not in names:
        raise RowsRefused(
            f"the rows have no column {task.target!r}{nearest(task.target, names)}, which holds the tags; add it"
        )
    codes = {name: code for code, name in enumerate(task.classes)}
    found = []
    cells = cells_of(frame, task.target)
    for row, (cell, given) in enumerate(zip(cells, token_column(cells, task.target), strict=True)):
        if cell is None or "" in given:
            raise RowsRefused(f"row {row} (from 0) has a token without a tag in {task.target!r}; leave such rows out")
        tags = as_iob2(given) if codes_of(task.classes).spells else given
        if strange := sorted({tag for tag in tags if tag not in codes}):
            raise RowsRefused(
                f"row {row} (from 0) has the tag {strange[0]!r} in {task.target!r}, which the bundle never saw; it "
                f"knows {', '.join(map(repr, task.classes[:10]))}"
            )
        found.append(np.array([codes[tag] for tag in tags], np.int64))
    return objects(found)


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
    keys: Mapping[str, list[Any]] = field(default_factory=dict)
    """Of a table of readings the unit of each prediction, and the time of its last reading, by column."""

    def rows(self) -> list[dict[str, object]]:
        """Return one dict a row: what it is of, if that is told, ``prediction``, then ``probability_<class>``."""
        columns = [*self.keys.values(), self.prediction, *self.probabilities.values()]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [*self.keys, "prediction", *(f"probability_{name}" for name in self.probabilities)]

    def text(self, suffix: str) -> str:
        """Return the rows as CSV, or as JSON Lines where the file's name ends so."""
        if suffix in {".jsonl", ".ndjson"}:
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows())
        out = io.StringIO()
        writer = csv.DictWriter(out, self.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in self.rows())
        return out.getvalue()

    def write(self, path: Path) -> None:
        """Write them to a file, whole or not at all; ``.gz`` is compressed.

        Raises
        ------
        RunUnwritable
            If the file cannot be written.
        """
        written(path, self.text)


def written(path: Path, text: Callable[[str], str]) -> None:
    """Write what ``text`` returns for the ending of a file's name, whole or not at all; ``.gz`` is compressed.

    Raises
    ------
    RunUnwritable
        If the file cannot be written.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    data = text(plain.suffix).encode()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        aside.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        why = problem.strerror or problem
        raise RunUnwritable(f"cannot write {path}: {why}; name another file with -o") from problem


def _cell(value: object) -> object:
    """Return a value as a cell of a CSV file: lists as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class TagPredictions(Predictions):
    """Predictions of tags: a list of them each row, how probable each is, and the entities that they spell."""

    tokens: Sequence[Sequence[str]] = ()
    sureness: Sequence[list[float]] = ()
    """The probability of each tag."""
    entities: Sequence[list[dict[str, object]]] | None = None
    """Of each row, with the first token, the token behind the last one, type, text and probability; ``None`` where the
    tags spell none."""

    @classmethod
    def of(
        cls, task: Task, tokens: Sequence[Sequence[str]], answer: Answer, ignored: tuple[str, ...]
    ) -> TagPredictions:
        """Return what an answer says of the tokens of some rows."""
        rows = list(zip(answer.scores, answer.decided, strict=True))
        tags = [[task.classes[code] for code in codes] for _, codes in rows]
        sure = [[float(p) for p in scores[np.arange(len(codes)), codes]] for scores, codes in rows]
        found = [
            [asdict(one) for one in entities_of(words, own, *row)]
            for words, own, row in zip(tokens, tags, rows, strict=True)
        ]
        spells = codes_of(task.classes).spells
        return cls(list(tags), {}, ignored, tokens=tokens, sureness=sure, entities=found if spells else None)

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return ["prediction", "probability", *(["entities"] if self.entities is not None else [])]

    def rows(self) -> list[dict[str, object]]:
        """Return one dict a row: ``prediction`` and ``probability``, lists of one a token, and ``entities``."""
        columns: list[Sequence[object]] = [self.prediction, self.sureness]
        columns += [] if self.entities is None else [self.entities]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]

    def text(self, suffix: str) -> str:
        """Return the rows as CSV with lists in JSON, as JSON Lines, or as CoNLL, as the file's name ends."""
        if suffix in CONLL_ENDINGS:
            return write_conll(self.tokens, [[str(tag) for tag in tags] for tags in _lists(self.prediction)])
        return Predictions.text(self, suffix)


def _lists(cells: Sequence[object]) -> list[list[object]]:
    return [list(cell) for cell in cells if isinstance(cell, list)]
