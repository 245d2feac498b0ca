"""CSV, TSV and JSON Lines by polars, with the standard library to explain what polars cannot read.

A CSV file is read in blocks of whole records, so that one larger than memory can be drawn from as it goes by.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from steelyard.data.encoding import decode, pieces, read_bytes
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
from steelyard.data.readers.drawing import Drawing
from steelyard.data.room import Drawn, Room
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, need

if TYPE_CHECKING:
    import polars as pl

BLOCK = 1 << 25
"""Bytes read at a time."""
_HEAD = 1 << 20
"""Bytes that surely hold the first line."""
_JSON_COPIES = 12
"""Bytes that reading JSON takes for each of its own: every cell becomes a Python object first."""

Columns = dict[str, Cells]


def read(path: Path) -> Columns:
    """Return the columns of a CSV, TSV or JSON Lines file, gzipped or not."""
    return parse(read_bytes(path), path)


def draw(path: Path, room: Room) -> tuple[Columns, Drawn | None]:
    """Return the columns of such a file, drawn from where it holds more rows than there is room for.

    Raises
    ------
    DataUnreadable
        If it cannot be read as a table, or is JSON that does not fit: that is read whole.
    """
    if ending_of(path) in JSON_ENDINGS:
        _refuse_large_json(path, room)
        return read(path), None
    blocks = records(pieces(path, BLOCK))
    first = next(blocks)
    second = next(blocks, None)
    head, drawing = Head.of(first, path), Drawing(room)
    try:
        drawing.add(_block(first, head, path, leads=True))
        for block in chain([second] if second else [], blocks):
            drawing.add(_block(block, head, path))
    except DataUnreadable as problem:
        if second is None:
            raise
        if path.stat().st_size * _JSON_COPIES <= room.memory:
            return read(path), None  # which explains what is wrong, line by line, or reads what blocks cannot
        raise DataUnreadable(f"{problem} (lines are counted from row {drawing.total:,})") from None
    frame, drawn = drawing.whole()
    return {name: frame[name] for name in frame.columns}, drawn


def _refuse_large_json(path: Path, room: Room) -> None:
    size = path.stat().st_size
    if size * _JSON_COPIES > room.memory:
        raise DataUnreadable(
            f"{path} holds {size / 1e9:.1f} GB of JSON, which is read whole and does not fit the memory "
            f"({room.limited_by}); convert it to CSV or Parquet, which are read in parts"
        )


def parse(content: bytes, path: Path) -> Columns:
    """Return the columns of the content of such a file; ``path`` says what it is and is named in errors."""
    if ending_of(path) in JSON_ENDINGS:
        return {name: tidy(cells) for name, cells in parse_json_lines(decode(content, path), path).items()}
    frame = _block(content, Head.of(content, path), path, leads=True)
    return {name: frame[name] for name in frame.columns}


# ---------------------------------------------------------------------------------------------- blocks


def records(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield blocks that end where a record does: at a line's end that no quotation mark holds open.

    Examples
    --------
    >>> list(records([b'a,b\n1,"x\n', b'y"\n2,', b"z\n"]))
    [b'a,b\n', b'1,"x\ny"\n', b'2,z\n']
    """
    rest = b""
    for chunk in chunks:
        rest += chunk
        if end := _end_of_records(rest):
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _end_of_records(content: bytes) -> int:
    """Return where the last whole record ends: behind a line with an even number of quotation marks up to its end."""
    end, marks = len(content), content.count(b'"')
    while (line := content.rfind(b"\n", 0, end)) >= 0:
        marks -= content.count(b'"', line, end)
        if marks % 2 == 0:
            return line + 1
        end = line
    return 0


@dataclass(frozen=True, slots=True)
class Head:
    """What the first line of a CSV file says."""

    names: list[str]
    delimiter: str
    line: bytes
    """The line itself, to stand above a later block for the careful reader."""

    @classmethod
    def of(cls, content: bytes, path: Path) -> Head:
        """Read the first line."""
        start = content if len(content) <= _HEAD else content[: _end_of_records(content[:_HEAD]) or None]
        text = decode(start, path)
        names, delimiter = header_of(text, path), delimiter_of(text)
        quoted = ('"' + name.replace('"', '""') + '"' for name in names)
        return cls(names, delimiter, (delimiter.join(quoted) + "\n").encode())


def _block(content: bytes, head: Head, path: Path, *, leads: bool = False) -> pl.DataFrame:
    """Return the rows of a block as strings; ``leads`` says that it begins with the first line."""
    frame = _by_polars(content, head, path, leads=leads)
    if frame is not None:
        return frame
    polars = need("polars", for_="reading a table")
    columns = parse_csv(decode(content if leads else head.line + content, path), path)
    return cast("pl.DataFrame", polars.DataFrame(columns, schema=dict.fromkeys(columns, polars.String)))


def _by_polars(content: bytes, head: Head, path: Path, *, leads: bool) -> pl.DataFrame | None:
    """Read a regular CSV fast; ``None`` where the careful reader has to look.

    Polars fills short lines up, which leaves the last column empty: only then are the cells of each line counted.
    What polars cannot read the careful reader reads, or explains.
    """
    polars = need("polars", for_="reading a table")
    if _odd_lines(content):
        return None
    try:
        frame = polars.read_csv(io.BytesIO(content), separator=head.delimiter, infer_schema=False, has_header=leads)
    except polars.exceptions.PolarsError:
        return None
    if frame.width != len(head.names):
        return None
    if not frame.height:
        raise DataUnreadable(header_only(path, head.names))
    frame.columns = head.names
    if frame[head.names[-1]].null_count() and _is_ragged(content, head, path):
        return None
    return cast("pl.DataFrame", frame.fill_null(""))


def _is_ragged(content: bytes, head: Head, path: Path) -> bool:
    return any(len(record) != len(head.names) for _, record in records_of(decode(content, path), path, head.delimiter))


def _odd_lines(content: bytes) -> bool:
    """Tell whether lines end in a lone carriage return, or blank ones stand anywhere."""
    if content[:1] in b"\r\n" or content.startswith(b"\xef\xbb\xbf\n"):
        return True
    returns = content.count(b"\r")
    return b"\n\n" in content or (returns > 0 and (b"\n\r\n" in content or returns != content.count(b"\r\n")))
