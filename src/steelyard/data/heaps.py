"""Rows of files: what a folder or an archive of images or sounds is to a bundle, and where files that are named lie."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from steelyard.contracts import Kind, Schema
from steelyard.data.files import BETWEEN
from steelyard.data.frames import cells_of, names_of
from steelyard.data.readers.images import IMAGE_ENDINGS, SOUND_ENDINGS
from steelyard.errors import DataUnreadable

_ENDINGS = {Kind.IMAGE: IMAGE_ENDINGS, Kind.AUDIO: SOUND_ENDINGS}


def is_heap(path: Path) -> bool:
    """Tell whether a path is a folder or a zip archive."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def rows_of_files(path: Path, reads: Schema, target: str) -> Mapping[str, list[str]]:
    """Return one row a file: its path in the one column of files that is read, and as target the folder it lies in.

    Raises
    ------
    DataUnreadable
        If the bundle reads something else too, or there are no such files.
    """
    columns = reads.features
    if len(columns) != 1 or columns[0].kind not in _ENDINGS:
        raise DataUnreadable(
            f"{path} is no table, and the bundle reads more than files; give a CSV file that names them"
        )
    name, endings = columns[0].name, _ENDINGS[columns[0].kind]
    files = sorted((place, folder) for place, folder in _files(path) if place.lower().endswith(tuple(endings)))
    if not files:
        raise DataUnreadable(f"{path} holds no files that end in {', '.join(sorted(endings))}; give another folder")
    return {name: [place for place, _ in files], target: [folder for _, folder in files]}


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of each file and the name of the folder that it lies in."""
    if path.is_dir():
        for place in path.rglob("*"):
            if place.is_file() and not place.name.startswith("."):
                yield str(place), place.parent.name
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not PurePosixPath(member).name.startswith("."):
                    yield f"{path}{BETWEEN}{member}", PurePosixPath(member).parent.name
    except (zipfile.BadZipFile, OSError) as problem:
        raise DataUnreadable(f"{path} cannot be read as a zip archive ({problem}); pack it again") from None


def beside(frame: Any, reads: Schema, folder: Path) -> Any:
    """Return a frame whose relative names of files start where its own file lies, if they are there."""
    named = [column.name for column in reads.of(*_ENDINGS) if column.name in names_of(frame)]
    if not named:
        return frame
    made = {name: cells_of(frame, name) for name in names_of(frame)}
    return {**made, **{name: [_beside(cell, folder) for cell in made[name]] for name in named}}


def _beside(cell: Any, folder: Path) -> Any:
    if not isinstance(cell, str) or not cell:
        return cell
    return str(folder / cell) if (folder / cell.partition(BETWEEN)[0]).exists() else cell
