"""Bytes to text, and what to say when they are not UTF-8. Needs the standard library alone."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from steelyard.errors import DataUnreadable

_GZIP = b"\x1f\x8b"
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_EAST_ASIAN = ("GB18030", "SHIFT_JIS", "EUC-KR", "BIG5")


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked where it is gzipped.

    Raises
    ------
    DataUnreadable
        If it cannot be opened, is not what its name says, or is empty.
    """
    return b"".join(pieces(path))


def pieces(path: Path, size: int = -1) -> Iterator[bytes]:
    """Yield the content of a file piece by piece, unpacked where it is gzipped.

    Parameters
    ----------
    path
        The file.
    size
        Bytes of a piece; -1 for everything at once.

    Raises
    ------
    DataUnreadable
        If it cannot be opened, is not what its name says, or is empty.
    """
    empty = True
    try:
        with path.open("rb") as stream:
            packed = stream.peek(2)[:2] == _GZIP or (path.suffix == ".gz" and stream.peek(1))
            with gzip.GzipFile(fileobj=stream) if packed else stream as content:
                while piece := content.read(size):
                    empty = empty and not piece.strip()
                    yield piece
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataUnreadable(
            f"{path} is not a whole gzip file; copy it again, or rename it if it is not packed"
        ) from None
    except OSError as problem:
        raise DataUnreadable(f"{path} cannot be opened: {problem.strerror}; check its path and permissions") from None
    if empty:
        raise DataUnreadable(f"{path} is empty; check that whatever wrote it had finished")


def decode(content: bytes, path: Path) -> str:
    """Return UTF-8 bytes as text, a byte-order mark left out.

    Raises
    ------
    DataUnreadable
        If they are not UTF-8; the message names the line, the likely encoding and how to convert.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        likely = likely_encoding(content)
        where = path.name.removesuffix(".gz")
        unpack = f"gzip -dc {path.name} | " if path.suffix == ".gz" else ""
        source = "" if unpack else f" {path.name}"
        raise DataUnreadable(
            f"{path} is not UTF-8: byte 0x{content[problem.start]:02X} on line {line}; it looks like {likely}, "
            f"convert it with: {unpack}iconv -f {likely} -t UTF-8{source} > utf8-{where}"
        ) from None


def likely_encoding(content: bytes) -> str:
    """Guess the encoding of bytes that are not UTF-8, by the name that ``iconv`` knows it by.

    Examples
    --------
    >>> likely_encoding("房间很大，整体感觉经济实惠".encode("gb18030")), likely_encoding("café, naïve".encode("cp1252"))
    ('GB18030', 'WINDOWS-1252')
    """
    if content[:2] in _MARKS:
        return _MARKS[content[:2]]
    sample = content[: 1 << 20]
    high = [byte for byte in sample if byte >= 0x80]
    runs = sum(1 for a, b in pairwise(sample) if a >= 0x80 and b >= 0x40)
    if runs >= 0.45 * len(high) and _mostly_pairs(sample):
        for name in _EAST_ASIAN:
            try:
                content.decode(name)
            except UnicodeDecodeError:
                continue
            return name
    return "WINDOWS-1252"


def _mostly_pairs(sample: bytes) -> bool:
    """Tell whether most high bytes stand next to another one, as they do in two-byte scripts."""
    high = [byte >= 0x80 for byte in sample]
    together = sum(a and b for a, b in pairwise(high))
    return together > 0.4 * sum(high)
