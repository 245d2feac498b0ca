"""A data set on disk, for the processes that train: ``data.arrow``, ``data.json``, and rows without a target."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints, Kind, Schema, Split, Task
from steelyard.data.coerce import objects
from steelyard.data.dataset import Dataset, Finding, Part, Partition
from steelyard.data.schema import schema_from_json, schema_to_json, task_from_json, task_to_json
from steelyard.data.sequences import pooled, unpooled
from steelyard.errors import RunUnreadable, RunUnwritable, need

ARROW, JSON, UNLABELLED = "data.arrow", "data.json", "unlabelled.arrow"
FILES = (ARROW, UNLABELLED, JSON)
"""All that a store may hold of a data set, in the order of writing; the second is there where it is needed."""
_VERSION = 1


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set into a folder, each file aside first and then in one step.

    Raises
    ------
    RunUnwritable
        If the folder refuses (read-only, disk full).
    """
    packed, spare = _pack(dataset), _pack_unlabelled(dataset)
    about: dict[str, Any] = {
        "version": _VERSION,
        "name": dataset.name,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "schema": schema_to_json(dataset.schema),
        "task": task_to_json(dataset.task),
        "protocol": dataset.partition.protocol,
        "parts": [part.name for part in dataset.partition.parts],
        "rows": len(dataset.rows),
        "findings": [finding.to_json() for finding in dataset.findings],
        "unlabelled": hashlib.sha256(spare).hexdigest() if spare else None,
    }
    about["sha256"] = _digest(about, packed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / ARROW, packed)
        if spare:
            _write(folder / UNLABELLED, spare)
        _write(folder / JSON, json.dumps(about, ensure_ascii=False, indent=1).encode())
    except OSError as problem:
        raise RunUnwritable(
            f"{folder} cannot be written: {problem.strerror}; free space there, or choose another folder"
        ) from None


def _digest(about: Mapping[str, Any], packed: bytes) -> str:
    """Return a digest of both files: of the rows, and of everything said about them."""
    said = {name: value for name, value in about.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(packed)
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _pack(dataset: Dataset) -> bytes:
    rows, partition = dataset.rows, dataset.partition
    columns: dict[str, Any] = {"row": rows.rows, **_targets(rows)}
    columns |= {} if rows.weights is None else {"weight": rows.weights}
    columns |= {} if rows.amounts is None else {f"amount:{i}": money for i, money in enumerate(rows.amounts.T)}
    columns |= {} if rows.scales is None else {f"scale:{i}": each for i, each in enumerate(rows.scales.T)}
    columns |= {} if dataset.groups is None else {"group": dataset.groups}
    columns |= {} if dataset.times is None else {"time": dataset.times}
    columns |= _features(rows, dataset.schema)
    for name, positions in _sides(partition).items():
        mask = np.zeros(len(rows), dtype=bool)
        mask[positions] = True
        columns[name] = mask
    return _packed(columns)


def _pack_unlabelled(dataset: Dataset) -> bytes:
    rows = dataset.unlabelled
    return b"" if rows is None else _packed({"row": rows.rows, **_targets(rows), **_features(rows, dataset.schema)})


def _packed(columns: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    need("polars", for_="storing the data").DataFrame(columns).write_ipc(stream)
    return stream.getvalue()


def _features(rows: Split, schema: Schema) -> dict[str, Any]:
    """Return the feature columns of some rows, as they are stored."""
    pl, columns = need("polars", for_="storing the data"), dict[str, Any]()
    for column in schema.features:
        values = rows.columns[column.name]
        if column.kind is Kind.SEQUENCE:
            columns |= _packed_sequences(f"feature:{column.name}", values, len(column.channels))
            continue
        if column.kind is Kind.TOKENS:
            values = pl.Series(values=list(map(list, values)), dtype=pl.List(pl.String))
        elif values.dtype == object:
            binary = any(isinstance(cell, bytes) for cell in values)
            values = pl.Series(values=values.tolist(), dtype=pl.Binary if binary else pl.String)
        columns[f"feature:{column.name}"] = values
    return columns


def _packed_sequences(name: str, cells: NDArray[Any], channels: int) -> dict[str, Any]:
    """Return the columns that hold sequences: every reading once, dealt out over the rows, and where each begins."""
    pl = need("polars", for_="storing the data")
    pool, first, steps = pooled(cells, channels)
    parts = [part.reshape(-1) for part in np.array_split(pool, max(len(cells), 1))][: len(cells)]
    series = pl.Series(values=parts, dtype=pl.List(pl.Float32)).cast(pl.List(pl.Float32))  # equal parts become arrays
    return {name: series, f"{name}:first": first, f"{name}:steps": steps}


def _sequences(frame: Any, name: str, channels: int) -> NDArray[Any]:
    parts = frame[name]
    readings = parts.filter(parts.list.len() > 0).explode().to_numpy()
    pool = np.array(readings.reshape(-1, channels), np.float32)  # an array of its own, which cells are views of
    return unpooled(pool, _array(frame, f"{name}:first"), _array(frame, f"{name}:steps"))


def _targets(rows: Split) -> dict[str, Any]:
    """Return the target as columns: one (rows of tags as lists of codes), or one for each value of a forecast."""
    if rows.target.dtype == object:
        pl = need("polars", for_="storing the data")
        return {"target": pl.Series(values=[tags.tolist() for tags in rows.target], dtype=pl.List(pl.Int64))}
    if rows.target.ndim == 1:
        return {"target": rows.target}
    return {f"target:{place}": values for place, values in enumerate(rows.target.T)}


def _target(frame: Any) -> NDArray[Any]:
    series = frame["target"]
    if isinstance(series.dtype, need("polars", for_="reading stored data").List):
        return objects(np.array(tags, np.int64) for tags in series.to_list())
    return _array(frame, "target")


def _sides(partition: Partition) -> dict[str, Ints]:
    sides = {f"side:{name}": getattr(partition, name) for name in ("test", "validation", "calibration")}
    for i, part in enumerate(partition.parts):
        sides |= {f"fit:{i}": part.fit, f"score:{i}": part.score}
    return sides


def read(folder: Path) -> Dataset:
    """Read what :func:`save` wrote, exactly: same values, same fingerprint.

    Raises
    ------
    RunUnreadable
        If a file is missing, was changed, or is of another version.
    """
    about, packed = _opened(folder)
    if about.get("version") != _VERSION:
        raise RunUnreadable(f"{folder / JSON} is of version {about.get('version')}, not {_VERSION}; run again")
    if _digest(about, packed) != about.get("sha256"):
        raise RunUnreadable(f"the data stored in {folder} was changed after it was written; run again")
    frame = _frame(packed)
    schema = schema_from_json(about["schema"])
    return Dataset(
        name=about["name"],
        source=about["source"],
        schema=schema,
        task=task_from_json(about["task"]),
        rows=_rows(frame, schema),
        partition=_partition(frame, about),
        findings=tuple(Finding.from_json(finding) for finding in about["findings"]),
        fingerprint=about["fingerprint"],
        groups=_array(frame, "group") if "group" in frame.columns else None,
        times=_array(frame, "time") if "time" in frame.columns else None,
        unlabelled=_unlabelled(folder, about.get("unlabelled"), schema),
    )


def _frame(packed: bytes) -> Any:
    return need("polars", for_="reading stored data").read_ipc(io.BytesIO(packed))


def _unlabelled(folder: Path, digest: str | None, schema: Schema) -> Split | None:
    if digest is None:
        return None
    try:
        packed = (folder / UNLABELLED).read_bytes()
    except OSError as problem:
        raise RunUnreadable(f"the data stored in {folder} cannot be read ({problem}); run again") from None
    if hashlib.sha256(packed).hexdigest() != digest:
        raise RunUnreadable(f"the data stored in {folder} was changed after it was written; run again")
    return _rows(_frame(packed), schema)


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a stored data set without its rows."""

    schema: Schema
    task: Task
    findings: tuple[Finding, ...]


def describe(folder: Path) -> Described:
    """Read what was stored beside the rows; needs the core install alone.

    Raises
    ------
    RunUnreadable
        If the file is missing or damaged.
    """
    try:
        about = json.loads((folder / JSON).read_bytes())
        findings = tuple(Finding.from_json(finding) for finding in about["findings"])
        return Described(schema_from_json(about["schema"]), task_from_json(about["task"]), findings)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise RunUnreadable(f"{folder / JSON} cannot be read ({problem}); run again") from None


def _opened(folder: Path) -> tuple[dict[str, Any], bytes]:
    try:
        about = json.loads((folder / JSON).read_bytes())
        packed = (folder / ARROW).read_bytes()
    except (OSError, ValueError) as problem:
        raise RunUnreadable(f"the data stored in {folder} cannot be read ({problem}); run again") from None
    if not isinstance(about, dict):
        raise RunUnreadable(f"{folder / JSON} is no JSON object; run again")
    return about, packed


def _array(frame: Any, name: str) -> NDArray[Any]:
    return np.array(frame[name].to_numpy())


def _rows(frame: Any, schema: Schema) -> Split:
    columns = {}
    for column in schema.features:
        if column.kind is Kind.SEQUENCE:
            columns[column.name] = _sequences(frame, f"feature:{column.name}", len(column.channels))
            continue
        series = frame[f"feature:{column.name}"]
        numeric = column.kind in (Kind.NUMBER, Kind.TIME)
        cells = map(tuple, series.to_list()) if column.kind is Kind.TOKENS else series.to_list()
        columns[column.name] = np.array(series.to_numpy()) if numeric else objects(cells)
    weights: Floats | None = _array(frame, "weight") if "weight" in frame.columns else None
    amounts, scales, targets = (_side_by_side(frame, f"{name}:") for name in ("amount", "scale", "target"))
    target = _target(frame) if targets is None else targets
    return Split(columns, target, _array(frame, "row"), weights, amounts, scales)


def _side_by_side(frame: Any, start: str) -> NDArray[Any] | None:
    """Return the columns whose names start so as one array; ``None`` where there are none."""
    found = [_array(frame, name) for name in frame.columns if name.startswith(start)]
    return np.column_stack(found) if found else None


def _partition(frame: Any, about: Mapping[str, Any]) -> Partition:
    def positions(name: str) -> Ints:
        return np.flatnonzero(frame[name].to_numpy()).astype(np.int64)

    parts = tuple(Part(name, positions(f"fit:{i}"), positions(f"score:{i}")) for i, name in enumerate(about["parts"]))
    return Partition(
        protocol=about["protocol"],
        test=positions("side:test"),
        parts=parts,
        validation=positions("side:validation"),
        calibration=positions("side:calibration"),
    )
