"""The log as files: read out as CSV or JSON Lines, and labels read in."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from steelyard.data.plain import JSON_ENDINGS, ending_of, read_plain
from steelyard.errors import DataUnfit, RequestInvalid, RunUnwritable
from steelyard.predictions.records import Joined, Label
from steelyard.predictions.words import label_from

_CSV, _JSON = frozenset({".csv"}), frozenset(JSON_ENDINGS)
_COLUMNS = (
    *("id", "time", "model", "version", "digest", "decided", "label", "label_time", "latency_ms", "stage"),
    *("scores", "inputs"),
)


def read_labels(path: Path) -> list[Label]:
    """Read a CSV or JSON Lines file with columns ``id``, ``label`` and, where it is known, ``at``.

    Raises
    ------
    DataUnreadable
        If it is no such file.
    DataUnfit
        If a column is missing, or a row is malformed; the message names the row.
    """
    columns = read_plain(path)
    for name in ("id", "label"):
        if name not in columns:
            raise DataUnfit(f"{path} has no column {name!r}; write id,label and, if it is known, at")
    now, count = time.time(), len(columns["id"])
    found = []
    for row in range(count):
        try:
            found.append(
                label_from({name: columns[name][row] for name in ("id", "label", "at") if name in columns}, now)
            )
        except RequestInvalid as problem:
            raise DataUnfit(f"{path}, row {row} (from 0): {problem}") from None
    return found


def record(joined: Joined) -> dict[str, Any]:
    """Return a prediction and its label as plain JSON."""
    prediction, label = joined.prediction, joined.label
    return {
        "id": prediction.id,
        "time": _written(prediction.at),
        "model": prediction.model,
        "version": prediction.version,
        "digest": prediction.digest,
        "decided": prediction.decided,
        "label": None if label is None else label.label,
        "label_time": None if label is None else _written(label.at),
        "latency_ms": round(prediction.latency * 1000, 3),
        "stage": prediction.stage,
        "scores": list(prediction.scores),
        "inputs": dict(prediction.inputs),
    }


def _written(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_log(found: Iterable[Joined], path: Path | None) -> int:
    """Write predictions to a file, whole or not at all, or to standard output; return how many.

    Parameters
    ----------
    found
        The predictions, which need not fit into memory.
    path
        A file that ends in ``.csv``, ``.jsonl`` or ``.ndjson``; ``None`` writes CSV to standard output.

    Raises
    ------
    RequestInvalid
        If the file ends otherwise.
    RunUnwritable
        If it cannot be written.
    """
    ending = ".csv" if path is None else ending_of(path)
    if ending not in _CSV | _JSON or (path is not None and path.suffix == ".gz"):
        raise RequestInvalid(f"{path} must end in .csv, .jsonl or .ndjson; name another file with -o")
    write = _write_csv if ending in _CSV else _write_json
    if path is None:
        return write(found, sys.stdout)
    with _whole(path) as file:
        return write(found, file)


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Give a file to write that takes its place once all of it is written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            yield file
        aside.replace(path)
    except OSError as problem:
        raise RunUnwritable(f"cannot write {path}: {problem.strerror or problem}; name another file with -o") from None
    finally:
        aside.unlink(missing_ok=True)


def _write_csv(found: Iterable[Joined], file: TextIO) -> int:
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    rest = iter(found)
    first = list(islice(rest, 1))  # so that a log which cannot be read writes nothing
    writer.writeheader()
    count = 0
    for joined in chain(first, rest):
        count += 1
        told = record(joined)
        writer.writerow({**told, "scores": _json(told["scores"]), "inputs": _json(told["inputs"])})
    return count


def _write_json(found: Iterable[Joined], file: TextIO) -> int:
    count = 0
    for joined in found:
        count += 1
        file.write(f"{_json(record(joined))}\n")
    return count


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
