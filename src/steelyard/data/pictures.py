"""Image columns: whole paths or bytes, and files that are not there."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.data.coerce import image_of, objects
from steelyard.data.dataset import Finding, Severity
from steelyard.data.hashing import contents
from steelyard.data.table import Table
from steelyard.errors import need


def resolve(name: str, cells: Sequence[Any], table: Table) -> tuple[NDArray[Any], list[Finding]]:
    """Return image cells as paths that hold from anywhere, or as bytes; and a finding if files are not there.

    Arrays and pictures become PNG. A column that mixes paths and bytes becomes bytes.
    """
    made = [_png(image_of(cell)) for cell in cells]
    if name not in table.images:
        made = [_whole(cell, table) if isinstance(cell, str) else cell for cell in made]
    lost = _lost(made)
    if lost:
        first = lost[0]
        sentence = (
            f"{len(lost):,} of {len(made):,} images named in column {name!r} are not there, the first is "
            f"{str(cells[first])!r} in row {first} (from 0), looked for at {made[first]}; correct the names, "
            f"or leave the column out with columns.ignore: [{name}]"
        )
        found = Finding(
            code="missing_images", severity=Severity.STOP, column=name, sentence=sentence, numbers={"images": len(lost)}
        )
        return objects(made), [found]
    if any(isinstance(cell, bytes) for cell in made) and any(isinstance(cell, str) for cell in made):
        made = list(contents(objects(made)))
    return objects(made), []


def _png(cell: Any) -> Any:
    if cell is None or isinstance(cell, str | bytes):
        return cell
    images = need("PIL.Image", for_="images")
    picture = images.fromarray(cell) if isinstance(cell, np.ndarray) else cell
    stream = io.BytesIO()
    (picture if picture.mode in ("L", "RGB", "RGBA", "P", "1", "I;16") else picture.convert("RGB")).save(stream, "PNG")
    return stream.getvalue()


def _whole(cell: str, table: Table) -> str:
    if table.archive is not None:
        return f"{table.archive}::{cell}"
    path = Path(cell).expanduser()
    return cell if "::" in cell or table.folder is None else str(table.folder / path)


def _lost(cells: Sequence[Any]) -> list[int]:
    """Return the rows whose file or archive member does not exist."""
    members: dict[str, frozenset[str]] = {}
    lost = []
    for row, cell in enumerate(cells):
        if not isinstance(cell, str):
            continue
        archive, inside, member = cell.partition("::")
        if inside and archive not in members:
            members[archive] = _members(archive)
        if (member not in members[archive]) if inside else not os.path.isfile(cell):  # noqa: PTH113 - called per row
            lost.append(row)
    return lost


def _members(archive: str) -> frozenset[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return frozenset(opened.namelist())
    except (OSError, zipfile.BadZipFile):
        return frozenset()
