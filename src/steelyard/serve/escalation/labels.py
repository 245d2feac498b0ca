"""What persons decided, as rows to train on: the inputs and the target column."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from steelyard.client.calls import GET, Call, check, checked_address, headers_of
from steelyard.errors import RowsRefused, RunUnwritable, ServerRefused, ServerUnreachable, need
from steelyard.serve.escalation.reviews import State, told

_CALL = Call(method=GET, path="/reviews")
_PAGE = 200
_SECONDS = 30.0


def answered(place: str, *, key: str = "") -> Iterator[dict[str, Any]]:
    """Yield the rows that persons answered, oldest first: from a server, or from its file of reviews.

    Raises
    ------
    RowsRefused
        If there is no such file, or it is none of reviews.
    ServerUnreachable, ServerRefused
        If the server does not answer, or says no.
    """
    if place.startswith(("http://", "https://")):
        yield from _of_server(checked_address(place), key)
    else:
        yield from _of_file(Path(place))


def _of_file(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise RowsRefused(f"there is no file {path}; give the database of reviews, or the address of its server")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as line:
            line.row_factory = sqlite3.Row
            for row in line.execute("SELECT * FROM reviews WHERE state = ? ORDER BY number", (State.ANSWERED,)):
                yield told(dict(row))
    except sqlite3.Error as problem:
        raise RowsRefused(f"{path} is no database of reviews that can be read: {problem}") from None


def _of_server(base: str, key: str) -> Iterator[dict[str, Any]]:
    httpx, after = need("httpx", for_="asking a server for its reviews"), 0
    with httpx.Client(headers=headers_of(key), timeout=_SECONDS) as line:
        while after is not None:
            query = {"state": State.ANSWERED.value, "after": after, "limit": _PAGE}
            try:
                answer = line.get(f"{base}/reviews", params=query)
            except httpx.RequestError as problem:
                raise ServerUnreachable(f"{base} gives no answer: {problem}; is the server running?") from None
            check(base, _CALL, answer.status_code, answer.content)
            try:
                data = answer.json()
                rows, after = list(data["reviews"]), data["next"]
            except (ValueError, KeyError, TypeError):
                raise ServerRefused(f"{base} answered no list of reviews; is it a server of Steelyard?") from None
            yield from rows


def export(rows: Iterator[dict[str, Any]], out: Path) -> int:
    """Write rows as CSV, whole or not at all; images go to files in a folder beside. Return how many there are.

    Raises
    ------
    RowsRefused
        If there are no labels yet.
    RunUnwritable
        If a file cannot be written.
    """
    found = list(rows)
    if not found:
        raise RowsRefused("nobody has answered a review yet, so that there are no labels to export")
    names = list(dict.fromkeys(name for row in found for name in row["inputs"]))
    target = found[-1]["target"]
    folder = out.with_name(f"{out.stem}_files")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, target])
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        for row in found:
            cells = [
                _cell(row["inputs"].get(name), folder / f"{row['id']}-{place}") for place, name in enumerate(names)
            ]
            writer.writerow([*cells, row["label"]])
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(out)
    except OSError as problem:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise RunUnwritable(f"cannot write {out}: {problem.strerror or problem}; name another file with -o") from None
    return len(found)


def _cell(cell: Any, place: Path) -> Any:
    """Return a cell of the CSV; an image becomes a file, and the cell its path; readings become JSON."""
    if isinstance(cell, list):
        return json.dumps(cell)
    if not isinstance(cell, Mapping):
        return "" if cell is None else cell
    content = base64.b64decode(cell["image"])
    try:
        ending = (Image.open(io.BytesIO(content)).format or "img").lower()
    except (UnidentifiedImageError, OSError):
        ending = "img"
    place = place.with_suffix(f".{ending}")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    return f"{place.parent.name}/{place.name}"
