"""Folders and zip archives: one folder a class, names that begin with the class, or a table that names the images."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from steelyard.data.coerce import objects
from steelyard.data.fast import tidy
from steelyard.data.plain import CSV_ENDINGS, JSON_ENDINGS, ending_of
from steelyard.data.readers.delimited import parse, read
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
SIDES = frozenset({"train", "training", "valid", "validation", "val", "dev", "calibration", "calib", "test", "testing"})
_TABLES = frozenset({*CSV_ENDINGS, *JSON_ENDINGS})
SOUND_ENDINGS = frozenset({".wav", ".wave"})
_UNREAD = frozenset({".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aiff", ".aif"})
"""Sounds that would first have to be converted."""
_NUMBERED = re.compile(r"(?P<name>.*[^\W\d_])[\W_]*\d+")
"""The name of a file that is its class and a number: ``rolled-in_scale_17``."""
_LAYOUT = "put each {one} in a folder named for its class, or add one CSV file that names the {one}s"


@dataclass(frozen=True, slots=True)
class Found:
    """Columns, the column of images or of sounds if their paths are already whole, and what was taken for granted."""

    columns: dict[str, Cells]
    images: frozenset[str] = frozenset()
    sounds: frozenset[str] = frozenset()
    note: str = ""


def read_folder(folder: Path, target: str) -> Found:
    """Return the table of a folder of class folders, or the one table file that lies in it.

    Raises
    ------
    DataUnreadable
        If it is laid out in neither way.
    """
    tables = sorted(p for p in folder.iterdir() if p.is_file() and ending_of(p) in _TABLES)
    if len(tables) == 1:
        return Found(read(tables[0]))
    if len(tables) > 1:
        raise DataUnreadable(f"{folder} holds {len(tables)} tables; give the path of one, such as {tables[0]}")
    members = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return _by_class(members, target, str(folder), f"{folder.resolve()}/")


def read_zip(path: Path, target: str) -> Found:
    """Return the table of a zip archive, laid out as :func:`read_folder` reads them.

    Raises
    ------
    DataUnreadable
        If the archive is damaged, locked, or has a member that would land outside of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _safe(archive, path)
            tables = [m for m in members if ending_of(Path(m)) in _TABLES]
            if len(tables) == 1:
                return Found(parse(archive.read(tables[0]), Path(tables[0])))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as problem:
        raise DataUnreadable(f"{path} cannot be read as a zip archive ({problem}); pack it again") from None
    if len(tables) > 1:
        raise DataUnreadable(f"{path} holds {len(tables)} tables ({', '.join(tables[:3])}); unpack it and give one")
    return _by_class(sorted(members), target, str(path), f"{path.resolve()}::")


def _safe(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Return the names of the files in an archive, after a look at each of them."""
    members = []
    for item in archive.infolist():
        name = item.filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or "\\" in name or ":" in parts[0] or ".." in parts:
            raise DataUnreadable(f"{path} has a member named {name!r}, which leads outside of it; pack it without")
        if item.flag_bits & 1:
            raise DataUnreadable(f"{path} is locked with a password; pack it without one")
        if not item.is_dir():
            members.append(name)
    return members


def _by_class(members: Sequence[str], target: str, source: str, prefix: str) -> Found:
    """Make rows of names of images or sounds: the folder is the class, one above it the side of the split."""
    shown = [p for p in map(PurePosixPath, members) if not _is_hidden(p)]
    paths, heard = ([p for p in shown if p.suffix.lower() in endings] for endings in (IMAGE_ENDINGS, SOUND_ENDINGS))
    one, column = ("image", "image") if paths or not heard else ("sound", "audio")
    if paths and heard:
        raise DataUnreadable(
            f"{source} holds {len(paths)} images and {len(heard)} sounds; keep each in a folder of its own, or add "
            "one CSV file that names both"
        )
    paths = paths or heard
    while paths and len({p.parts[0] for p in paths}) == 1 and min(len(p.parts) for p in paths) > 2:
        prefix += paths[0].parts[0] + "/"
        paths = [PurePosixPath(*p.parts[1:]) for p in paths]
    depths = {len(p.parts) for p in paths}
    sided = depths == {3} and {p.parts[0].lower() for p in paths} <= SIDES
    if named := _classes_in_names(paths):
        note = (
            f"the class of each {one} in {source} is taken from its name, what stands before the number: "
            f"{_list(named)}; put the {one}s in folders of classes where that is wrong"
        )
        columns: dict[str, Cells] = {column: objects(prefix + str(p) for p in paths), target: tidy(named)}
        return _found(columns, column, note)
    if depths != {2} and not sided:
        unread = sum(p.suffix.lower() in _UNREAD for p in shown)
        more = f"; {unread} files are sounds that are not wav: convert them" if unread else ""
        layout = _LAYOUT.format(one=one)
        raise DataUnreadable(f"{source} holds no {one}s in folders of classes ({len(paths)} {one}s){more}; {layout}")
    columns = {column: objects(prefix + str(p) for p in paths), target: tidy([p.parts[-2] for p in paths])}
    if sided:
        columns["split"] = tidy([p.parts[0].lower() for p in paths])
    return _found(columns, column)


def _found(columns: dict[str, Cells], column: str, note: str = "") -> Found:
    files = frozenset({column})
    return Found(columns, images=files, note=note) if column == "image" else Found(columns, sounds=files, note=note)


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _classes_in_names(paths: Sequence[PurePosixPath]) -> list[str]:
    """Return the class of each file where all lie in one folder and are called by their class and a number.

    Two classes at least, of two files each; otherwise nothing is returned.
    """
    if len({p.parent for p in paths}) != 1:
        return []
    found = [_NUMBERED.fullmatch(p.stem) for p in paths]
    classes = [match["name"] for match in found if match]
    counts = Counter(classes)
    return classes if len(classes) == len(paths) and len(counts) > 1 and min(counts.values()) > 1 else []


def _list(classes: Sequence[str]) -> str:
    """Return a few of the classes for people."""
    several = sorted(set(classes))
    more = f" and {len(several) - 8} more" if len(several) > 8 else ""
    return ", ".join(several[:8]) + more
