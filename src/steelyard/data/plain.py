"""CSV and JSON Lines with the standard library: what predicting reads with, and what explains a bad file.

A CSV cell is always a string here; :mod:`steelyard.data.coerce` says what it means. An empty cell of a CSV file
is ``""``, a missing key of a JSON line ``None``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.data.coerce import BLANKS
from steelyard.data.encoding import decode, read_bytes
from steelyard.errors import DataUnreadable

_DELIMITERS = ",\t;|"
CSV_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")


def ending_of(path: Path) -> str:
    """Return the lower-case ending that says what a file holds, ``.gz`` left out.

    Examples
    --------
    >>> ending_of(Path("a/Data.CSV.gz"))
    '.csv'
    """
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_plain(path: Path) -> dict[str, list[Any]]:
    """Read a CSV, TSV or JSON Lines file, gzipped or not, as lists of cells by column name.

    Raises
    ------
    DataUnreadable
        If it is none of these, empty, ragged or not UTF-8; the message names the line.
    """
    ending = ending_of(path)
    if ending not in (*CSV_ENDINGS, *JSON_ENDINGS):
        raise DataUnreadable(f"{path} is neither CSV nor JSON Lines; name it .csv, .tsv or .jsonl (.gz allowed)")
    text = decode(read_bytes(path), path)
    return parse_json_lines(text, path) if ending in JSON_ENDINGS else parse_csv(text, path)


def delimiter_of(text: str) -> str:
    """Return the delimiter of a CSV text: the most frequent one of its first line, a comma for a single column.

    Examples
    --------
    >>> [delimiter_of(t) for t in ("a,b;c,d", "a;b", "a")]
    [',', ';', ',']
    """
    first = text.lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def names_from(record: list[str], path: Path) -> list[str]:
    """Return column names from the first line; a nameless column is called by its number from 1.

    Raises
    ------
    DataUnreadable
        If a name is doubled.
    """
    names = [name.strip(BLANKS) or f"column_{i}" for i, name in enumerate(record, start=1)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataUnreadable(f"{path}: column {twice!r} occurs twice in the first line; rename one of the two")
    return names


def records_of(text: str, path: Path, delimiter: str = "") -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers (where a record ends, from 1) and records; a blank line is an empty record.

    The delimiter is told from the first line where it is not given.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or delimiter_of(text), strict=True)
    before = csv.field_size_limit(2**31 - 1)  # the limit belongs to the module: it is put back below
    try:
        for record in reader:
            yield reader.line_num, record
    except csv.Error as problem:
        raise DataUnreadable(
            f"{path}, line {reader.line_num}: a quotation mark that is not closed, or that stands inside a quoted "
            f'cell; write "" for one inside ({problem})'
        ) from None
    finally:
        csv.field_size_limit(before)


def header_of(text: str, path: Path) -> list[str]:
    """Return the column names of a CSV text."""
    return names_from(next((record for _, record in records_of(text, path) if record), []), path)


def parse_csv(text: str, path: Path) -> dict[str, list[Any]]:
    """Return the columns of a CSV text. Blank lines are skipped, except as empty cells of a single column.

    Raises
    ------
    DataUnreadable
        If a line has more or fewer cells than the first one, or there is no line beside it.
    """
    names: list[str] = []
    rows: list[list[str]] = []
    for line, record in records_of(text, path):
        if not names:
            names = names_from(record, path) if record else names
        elif len(record) == len(names):
            rows.append(record)
        elif record:
            raise DataUnreadable(_ragged(path, line, len(record), len(names)))
        elif len(names) == 1:
            rows.append([""])
    if not rows:
        raise DataUnreadable(header_only(path, names))
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def header_only(path: Path, names: list[str]) -> str:
    """Return the sentence about a file without rows."""
    return f"{path} has a first line with {len(names)} column names but no rows; add rows below it"


def _ragged(path: Path, line: int, cells: int, expected: int) -> str:
    hint = "put cells that hold the delimiter in quotation marks" if cells > expected else "fill the line up"
    return f"{path}, line {line}: {cells} cells where the first line has {expected}; {hint}"


def parse_json_lines(text: str, path: Path) -> dict[str, list[Any]]:
    """Return the columns of JSON Lines (or of one JSON array of objects), in order of first appearance.

    Raises
    ------
    DataUnreadable
        If a line is not a JSON object.
    """
    rows = _array(text, path) if text.lstrip().startswith("[") else _lines(text, path)
    names = dict.fromkeys(name for row in rows for name in row)
    if not rows or not names:
        raise DataUnreadable(f"{path} holds no rows; give one JSON object a line")
    return {name: [row.get(name) for row in rows] for name in names}


def _lines(text: str, path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise DataUnreadable(
                f"{path}, line {number}: not a JSON object ({problem.msg}); give one object a line"
            ) from None
        if not isinstance(row, dict):
            raise DataUnreadable(
                f"{path}, line {number}: a {type(row).__name__}, not a JSON object; write column names and values"
            )
        rows.append(row)
    return rows


def _array(text: str, path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as problem:
        raise DataUnreadable(
            f"{path}, line {problem.lineno}: not JSON ({problem.msg}); check how it was written"
        ) from None
    odd = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if odd is not None:
        raise DataUnreadable(f"{path}: item {odd} is not a JSON object; write column names and values")
    return list(rows)
