"""Image columns: whole paths or bytes, files that are not there, and files that hold no image."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.data.coerce import image_of, objects
from steelyard.data.dataset import Finding, Severity
from steelyard.data.files import lost, missing, whole
from steelyard.data.hashing import contents, read_file
from steelyard.data.table import Table
from steelyard.errors import DataUnfit, need

MOST_UNREADABLE = 0.05
"""Share of images that may be unreadable for a run to go on without their rows."""
_SMALL = 32
_DAMAGE = (OSError, ValueError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error)
"""What a file, an archive or a decoder has to say of what cannot be read."""


def resolve(name: str, cells: Sequence[Any], table: Table) -> tuple[NDArray[Any], list[Finding]]:
    """Return image cells as paths that hold from anywhere, or as bytes; and a finding if files are not there.

    Arrays and pictures become PNG. A column that mixes paths and bytes becomes bytes.

    Raises
    ------
    DataUnfit
        If an array or a picture in memory is none: of another type or shape, or of floating-point numbers.
    """
    made = [_held(name, row, cell) for row, cell in enumerate(cells)]
    if name not in table.images:
        made = [whole(cell, table) if isinstance(cell, str) else cell for cell in made]
    if gone := lost(made):
        return objects(made), [missing("images", name, cells, made, gone)]
    if any(isinstance(cell, bytes) for cell in made) and any(isinstance(cell, str) for cell in made):
        made = list(contents(objects(made)))
    return objects(made), []


def judge(name: str, cells: NDArray[Any]) -> tuple[NDArray[np.bool_] | None, list[Finding]]:
    """Decode every image once, before anything is trained on them.

    Returns the rows to leave out (``None`` for none) and a finding that says so: a few unreadable images cost their
    rows, more than :data:`MOST_UNREADABLE` of them stop the run.
    """
    bad = _unreadable(cells)
    count = int(bad.sum())
    if not count:
        return None, []
    few = count <= MOST_UNREADABLE * len(cells)
    row = int(np.flatnonzero(bad)[0])
    first = "empty" if cells[row] is None else "given as bytes" if isinstance(cells[row], bytes) else f"{cells[row]!r}"
    end = (
        "their rows are left out; replace the files to have them used"
        if few
        else f"replace them or take their rows out (up to {MOST_UNREADABLE:.0%} are left out without asking)"
    )
    sentence = (
        f"{count:,} of {len(cells):,} images in column {name!r} cannot be read (no image, damaged or empty), the first "
        f"is {first} in row {row} (from 0); {end}"
    )
    severity = Severity.WARN if few else Severity.STOP
    numbers = {"images": float(count), "row": float(row)}
    found = Finding(code="unreadable_images", severity=severity, column=name, sentence=sentence, numbers=numbers)
    return bad if few else None, [found]


def _unreadable(cells: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which cells no picture can be decoded from; JPEG is decoded small, which finds the same damage."""
    from steelyard.data.decoding import decoded, flat  # noqa: PLC0415 - Pillow is for those who have images

    bad = np.array([cell is None for cell in cells], dtype=bool)
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        for row in np.flatnonzero(~bad):
            try:
                cell = cells[row]
                content = cell if isinstance(cell, bytes) else read_file(cell, archives, stack)
                flat(decoded(io.BytesIO(content), "the image", least=_SMALL))
            except _DAMAGE:
                bad[row] = True
    return bad


def _held(name: str, row: int, cell: object) -> Any:
    try:
        return _png(image_of(cell))
    except ValueError as problem:
        raise DataUnfit(f"row {row} (from 0) of column {name!r}: {problem}") from None


def _png(cell: Any) -> Any:
    """Return an array or a picture in memory as PNG bytes: what serving would make of it, before it is resized."""
    if cell is None or isinstance(cell, str | bytes):
        return cell
    from steelyard.data.decoding import checked, flat, loaded  # noqa: PLC0415 - as above

    images = need("PIL.Image", for_="images")
    picture = images.fromarray(checked(cell)) if isinstance(cell, np.ndarray) else loaded(cell, "the picture")
    stream = io.BytesIO()
    plain = flat(picture)
    (plain if plain.mode in ("L", "RGB", "P", "1") else plain.convert("RGB")).save(stream, "PNG")
    return stream.getvalue()
