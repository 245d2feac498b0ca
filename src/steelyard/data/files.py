"""Cells that name files: whole paths, archives, and what is not there. For images and sounds alike."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.data.dataset import Finding, Severity
from steelyard.data.table import Table

BETWEEN = "::"
"""Between the path of an archive and the name of a member of it."""


def whole(cell: str, table: Table) -> str:
    """Return a named file as a path that holds from anywhere; names start from the archive or folder of the table."""
    if table.archive is not None:
        return f"{table.archive}{BETWEEN}{cell}"
    if table.folder is None:
        return cell
    archive, between, member = cell.partition(BETWEEN)
    return f"{table.folder / Path(archive).expanduser()}{between}{member}"


def lost(cells: Sequence[Any]) -> list[int]:
    """Return the rows whose file or archive member does not exist."""
    members: dict[str, frozenset[str]] = {}
    found = []
    for row, cell in enumerate(cells):
        if not isinstance(cell, str):
            continue
        archive, inside, member = cell.partition(BETWEEN)
        if inside and archive not in members:
            members[archive] = _members(archive)
        if (member not in members[archive]) if inside else not os.path.isfile(cell):  # noqa: PTH113 - called per row
            found.append(row)
    return found


def _members(archive: str) -> frozenset[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return frozenset(opened.namelist())
    except (OSError, zipfile.BadZipFile):
        return frozenset()


def missing(what: str, name: str, cells: Sequence[Any], places: Sequence[Any], gone: Sequence[int]) -> Finding:
    """Return the finding that stops a run because files are not there; ``what`` they are, in the plural."""
    first = gone[0]
    sentence = (
        f"{len(gone):,} of {len(places):,} {what} named in column {name!r} are not there, the first is "
        f"{str(cells[first])!r} in row {first} (from 0), looked for at {places[first]}; correct the names, "
        f"or leave the column out with columns.ignore: [{name}]"
    )
    numbers = {what: float(len(gone))}
    return Finding(code=f"missing_{what}", severity=Severity.STOP, column=name, sentence=sentence, numbers=numbers)
