"""Hashes of content that are the same on every machine and in every version: the ground of splits."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Columns, Kind, Schema
from steelyard.data.coerce import objects
from steelyard.errors import DataUnreadable

Hashes = NDArray[np.uint64]
LARGEST_MEMBER = 2**28
"""Bytes that a member of an archive may unpack to; what serves a bundle has the same limit."""
_NAN = np.uint64(0x7FF8000000000000)


def mix(values: Hashes) -> Hashes:
    """Scramble 64-bit values: each input bit turns about half of the output bits.

    The finaliser of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.

    Examples
    --------
    >>> int(mix(np.array([1], dtype=np.uint64))[0])
    6238072747940578789
    """
    with np.errstate(over="ignore"):
        mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def distinct(values: NDArray[Any]) -> int:
    """Return how many different values there are, none of them NaN; sorting is the fast way for many.

    Examples
    --------
    >>> distinct(np.array([3.0, 1.0, 3.0])), distinct(np.array([]))
    (2, 0)
    """
    ordered = np.sort(values)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


def hash_bytes(content: bytes) -> int:
    """Return 64 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def hash_strings(cells: Iterable[str | None]) -> Hashes:
    """Return one hash a string; a missing one has a hash of its own."""
    several = list(cells)
    known = {cell: 1 if cell is None else hash_bytes(cell.encode("utf-8", "surrogatepass")) for cell in set(several)}
    return np.fromiter(map(known.__getitem__, several), dtype=np.uint64, count=len(several))


def hash_tokens(cells: Iterable[Sequence[str]]) -> Hashes:
    """Return one hash a row of tokens; where one token ends and the next begins counts."""
    return hash_strings("".join(f"{len(token)} {token}" for token in tokens) for tokens in cells)


def hash_numbers(values: NDArray[np.float64]) -> Hashes:
    """Return one hash a number; every NaN has the same, and so have 0.0 and -0.0."""
    bits = (values + 0.0).view(np.uint64)
    return mix(np.where(np.isnan(values), _NAN, bits))


def hash_files(cells: NDArray[Any]) -> Hashes:
    """Return one hash an image or a sound: of its bytes, or of the bytes of the file or archive member it names."""
    made = (1 if content is None else hash_bytes(content) for content in contents(cells))
    return np.fromiter(made, dtype=np.uint64, count=len(cells))


def contents(cells: NDArray[Any]) -> Iterator[bytes | None]:
    """Yield the bytes of the cells of images or sounds in order, each archive opened once.

    Raises
    ------
    DataUnreadable
        If the bytes of a file or archive member cannot be read; what they mean is not looked at.
    """
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        for cell in cells:
            try:
                yield cell if cell is None or isinstance(cell, bytes) else read_file(cell, archives, stack)
            except (OSError, zipfile.BadZipFile, zlib.error, KeyError) as problem:
                raise DataUnreadable(f"file {cell} cannot be read ({problem}); replace it or drop its row") from None


def opened(cells: Iterable[Any]) -> list[Any]:
    """Return cells of images or sounds with the bytes of each file that one names, and the others as they are.

    Raises
    ------
    DataUnreadable
        If the bytes of a file or archive member cannot be read.
    """
    cells = list(cells)
    named = contents(objects(cell for cell in cells if isinstance(cell, str)))
    return [next(named) if isinstance(cell, str) else cell for cell in cells]


def read_file(cell: str, archives: dict[str, zipfile.ZipFile], stack: ExitStack) -> bytes:
    """Return the bytes of a file or archive member; an archive stays open in ``archives`` until ``stack`` closes it.

    Raises
    ------
    BadZipFile
        If a member would unpack to more than :data:`LARGEST_MEMBER` bytes.
    """
    path, inside, member = cell.partition("::")
    if not inside:
        return Path(cell).read_bytes()
    if path not in archives:
        archives[path] = stack.enter_context(zipfile.ZipFile(path))
    if (size := archives[path].getinfo(member).file_size) > LARGEST_MEMBER:
        raise zipfile.BadZipFile(f"it unpacks to {size:,} bytes; the most is {LARGEST_MEMBER:,}")
    return archives[path].read(member)


def hash_sequences(cells: NDArray[Any]) -> Hashes:
    """Return one hash a sequence: of its shape and of its readings, every NaN and every zero alike."""
    made = (hash_bytes(repr(cell.shape).encode() + _plain_bytes(cell)) for cell in cells)
    return np.fromiter(made, dtype=np.uint64, count=len(cells))


def _plain_bytes(cell: NDArray[np.float32]) -> bytes:
    values = cell + np.float32(0)
    values[np.isnan(values)] = np.nan
    return values.tobytes()


def hash_column(kind: Kind, values: NDArray[Any]) -> Hashes:
    """Return one hash a cell of a typed column."""
    if kind in (Kind.NUMBER, Kind.TIME):
        return hash_numbers(values)
    if kind is Kind.SEQUENCE:
        return hash_sequences(values)
    if kind is Kind.TOKENS:
        return hash_tokens(values)
    return hash_files(values) if kind in (Kind.IMAGE, Kind.AUDIO) else hash_strings(values)


def hash_columns(columns: Columns, schema: Schema) -> dict[str, Hashes]:
    """Return the hashes of every feature column."""
    return {c.name: hash_column(c.kind, columns[c.name]) for c in schema.features}


def hash_rows(hashes: Iterable[Hashes], rows: int) -> Hashes:
    """Join the hashes of columns to one a row; the order of the columns counts."""
    joined = np.zeros(rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in hashes:
            joined = mix(joined * np.uint64(0x9E3779B97F4A7C15) + column)
    return joined
