"""CSV, TSV and JSON Lines by polars, with the standard library to explain what polars cannot read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

from steelyard.data.encoding import decode, read_bytes
from steelyard.data.fast import tidy
from steelyard.data.plain import (
    JSON_ENDINGS,
    delimiter_of,
    ending_of,
    header_of,
    header_only,
    parse_csv,
    parse_json_lines,
    records_of,
)
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, need

if TYPE_CHECKING:
    import polars as pl


def read(path: Path) -> dict[str, Cells]:
    """Return the columns of a CSV, TSV or JSON Lines file, gzipped or not."""
    return parse(read_bytes(path), path)


def parse(content: bytes, path: Path) -> dict[str, Cells]:
    """Return the columns of the content of such a file; ``path`` says what it is and is named in errors."""
    text = decode(content, path)
    if ending_of(path) in JSON_ENDINGS:
        return {name: tidy(cells) for name, cells in parse_json_lines(text, path).items()}
    frame = _by_polars(content, text, path)
    if frame is None:
        return {name: tidy(cells) for name, cells in parse_csv(text, path).items()}
    return {name: frame[name] for name in frame.columns}


def _by_polars(content: bytes, text: str, path: Path) -> pl.DataFrame | None:
    """Read a regular CSV fast; ``None`` where the careful reader has to look.

    Polars fills short lines up, which leaves the last column empty: only then are the cells of each line counted.
    What polars cannot read the careful reader reads, or explains.
    """
    polars = need("polars", for_="reading a table")
    if _odd_lines(content):
        return None
    names = header_of(text, path)
    try:
        frame = polars.read_csv(io.BytesIO(content), separator=delimiter_of(text), infer_schema=False)
    except polars.exceptions.PolarsError:
        return None
    if frame.width != len(names):
        return None
    if not frame.height:
        raise DataUnreadable(header_only(path, names))
    frame.columns = names
    if frame[names[-1]].null_count() and any(len(record) != len(names) for _, record in records_of(text, path)):
        return None
    return cast("pl.DataFrame", frame.fill_null(""))


def _odd_lines(content: bytes) -> bool:
    """Tell whether lines end in a lone carriage return, or blank ones stand anywhere."""
    if content[:1] in b"\r\n" or content.startswith(b"\xef\xbb\xbf\n"):
        return True
    return content.count(b"\r") != content.count(b"\r\n") or b"\n\n" in content or b"\n\r\n" in content
