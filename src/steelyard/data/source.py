"""Where the data of a spec is, and which reader takes it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.data.conll import CONLL_ENDINGS
from steelyard.data.plain import CSV_ENDINGS, JSON_ENDINGS, ending_of
from steelyard.data.readers import arrays, builtin, columnar, delimited, images
from steelyard.data.readers.given_sides import conll_table, joined_sides, sides_in
from steelyard.data.room import Room
from steelyard.data.sides import SIDE_OF
from steelyard.data.table import Table
from steelyard.errors import DataUnreadable, nearest
from steelyard.spec import Spec

BUILT_IN = "sklearn:"
_ENDINGS = ".csv, .tsv, .jsonl, .conll (.gz allowed), .parquet, .npz or .zip"


def read(spec: Spec, base: Path | None) -> Table:
    """Find and read the data of a spec.

    Parameters
    ----------
    spec
        Its ``data`` is a path, ``sklearn:NAME`` or a frame.
    base
        Folder that relative paths start from: where the spec lies.

    Raises
    ------
    DataUnreadable
        If it is not found (every place looked at is listed) or cannot be read.
    """
    data: Any = spec.data
    if isinstance(data, str) and data.startswith(BUILT_IN):
        name = data.removeprefix(BUILT_IN)
        return Table(name=name, source=data, columns=builtin.read(name, spec.target))
    if isinstance(data, str | os.PathLike):
        return _read_path(find(Path(data), base), spec, Room.of(spec))
    if is_files(data):
        return _read_sides(data, base, spec)
    return Table(name="frame", source="a frame in memory", columns=columnar.read_frame(data))


def is_files(data: Any) -> bool:
    """Tell whether data is named as files by side."""
    return isinstance(data, Mapping) and all(isinstance(path, str) for path in data.values())


def _read_sides(data: Mapping[str, str], base: Path | None, spec: Spec) -> Table:
    """Read files that are each one side of the split."""
    files: dict[str, Path] = {}
    for word, path in data.items():
        side = SIDE_OF.get(word.lower())
        if side is None or side in files:
            why = "comes twice" if side in files else f"is no side{nearest(word, SIDE_OF)}"
            raise DataUnreadable(f"data: {word!r} {why}; name files for train, validation, calibration and test")
        files[side] = find(Path(path), base)
    source = ", ".join(f"{path} ({side})" for side, path in files.items())
    name = name_of(next(iter(files.values()))) if "train" not in files else name_of(files["train"])
    return joined_sides(files, lambda path: _read_path(path, spec, Room.of(spec)), name, source)


def find(path: Path, base: Path | None) -> Path:
    """Return where a path exists: under ``base``, then ``STEELYARD_DATA``, then the current folder.

    Raises
    ------
    DataUnreadable
        If nowhere; the message lists the places in order.
    """
    roots = [base, _root_from_environment(), Path.cwd()]
    places = list(dict.fromkeys(root / path.expanduser() for root in roots if root is not None))
    for place in places:
        if place.exists():
            return place
    looked = "\n".join(f"  {i}. {place}" for i, place in enumerate(places, start=1))
    unset = "" if _root_from_environment() else "\n(STEELYARD_DATA is not set; it may name a folder of data sets)"
    raise DataUnreadable(f"no data at {str(path)!r}{_near(places)}; looked in, in order:\n{looked}{unset}")


def _root_from_environment() -> Path | None:
    given = os.environ.get("STEELYARD_DATA")
    return Path(given) if given else None


def _near(places: list[Path]) -> str:
    for place in places:
        if place.parent.is_dir():
            near = difflib.get_close_matches(place.name, [p.name for p in place.parent.iterdir()], n=1)
            if near:
                return f" (did you mean {str(place.parent / near[0])!r}?)"
    return ""


def _read_path(path: Path, spec: Spec, room: Room) -> Table:
    ending, name, target = ending_of(path), name_of(path), spec.target
    if path.is_dir() and (sides := sides_in(path)):
        return joined_sides(sides, lambda file: conll_table(file, target), name, str(path))
    if ending in CONLL_ENDINGS or (ending == ".txt" and spec.task == "tagging"):
        return replace(conll_table(path, target), name=name)
    if path.is_dir() or ending == ".zip":
        found = images.read_folder(path, target) if path.is_dir() else images.read_zip(path, target)
        folder, archive = (path.resolve(), None) if path.is_dir() else (None, path.resolve())
        return Table(
            name=name,
            source=str(path),
            columns=found.columns,
            images=found.images,
            sounds=found.sounds,
            folder=folder,
            archive=archive,
            note=found.note,
        )
    if ending == ".npz":
        columns = arrays.read(path, target)
        return Table(name=name, source=str(path), columns=columns, images=frozenset({"image"}))
    if ending in (".parquet", ".pq"):
        columns, drawn = columnar.draw_parquet(path, room)
    elif ending in (*CSV_ENDINGS, *JSON_ENDINGS):
        columns, drawn = delimited.draw(path, room)
    else:
        raise DataUnreadable(f"{path}: cannot tell what {ending or 'a file without ending'} holds; use {_ENDINGS}")
    return Table(name=name, source=str(path), columns=columns, folder=path.resolve().parent, drawn=drawn)


def name_of(path: Path) -> str:
    """Return a name for a run from a path: its stem, or its folder's where the stem says nothing.

    Examples
    --------
    >>> name_of(Path("german_credit/data.csv.gz")), name_of(Path("churn.tsv.gz"))
    ('german_credit', 'churn')
    """
    stem = path.name.partition(".")[0] or "data"
    return path.resolve().parent.name if stem in {"data", "train"} and path.resolve().parent.name else stem
