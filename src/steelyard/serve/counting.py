"""Numbers in memory that several processes read: each writes cells of its own, and whoever asks adds all of them up.

A *region* belongs to one process. Its first cells are a header, then come *series*: how many cells the key takes, how
many values there are, the key, the values. A key is JSON and says all that is to be known (name, kind, what it counts,
labels, bounds), so that a reader needs nothing of the writer. Only the owner writes a region, on one thread, and a
series is there for readers once all of it is written; a cell is eight aligned bytes, so no value is ever read by half.

A *board* is the regions of a server. That of one process is plain memory. That of several is an anonymous mapping that
workers inherit by fork: no file is left behind whoever is killed, and no disk can be full. Region 0 is that of the
supervisor. When a worker has ended, whatever it counted is folded into region 0, so that no counter ever falls; its
gauges vanish. A reader that meets a folding looks again.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from steelyard.serve import processes
from steelyard.serve.faults import overloaded

_CELL = 8
_USED, _PID, _BEAT, _CONNECTIONS, _IS_READY, _HEADER = 0, 1, 2, 3, 4, 8
_REGION_BYTES = 2**21
"""Room for over 5,000 series; only what was written takes memory."""
_PAGE = 4096
_TRIES, _PAUSE = 500, 0.001


class Kind(StrEnum):
    """What a series means, and so how those of several processes become one."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    """Added up over the processes that live."""
    SHARED = "shared"
    """A gauge of what all processes see alike: the greatest counts among those that live."""
    LATEST = "latest"
    """A gauge of which the greatest counts, that of a process which has ended too: a moment."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a series is; ``labels`` is ``""`` or like ``model="m"``."""

    name: str
    kind: Kind
    about: str
    labels: str = ""
    bounds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Cells of its values: of a histogram one a bucket, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1

    def key(self) -> bytes:
        """Return the series as it is written down."""
        return orjson.dumps([self.name, self.kind, self.about, self.labels, self.bounds])


@functools.lru_cache(8192)
def _series_of(key: bytes) -> Series:
    name, kind, about, labels, bounds = orjson.loads(key)
    return Series(name, Kind(kind), about, labels, tuple(bounds))


class Counter:
    """A number that only grows."""

    __slots__ = ("_cells", "series")

    def __init__(self, series: Series, cells: memoryview[float]) -> None:
        self.series, self._cells = series, cells

    @property
    def value(self) -> float:
        """What this process has counted."""
        return self._cells[0]

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self._cells[0] += amount


class Gauge(Counter):
    """A number that rises and falls."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Say what it is now."""
        self._cells[0] = value


class Histogram:
    """How often values fell between bounds.

    Examples
    --------
    >>> series = Series("seconds", Kind.HISTOGRAM, "Seconds.", bounds=(0.1, 1.0))
    >>> seconds = Histogram(series, memoryview(bytearray(32)).cast("d"))
    >>> for value in (0.05, 0.1, 0.5, 7.0):
    ...     seconds.observe(value)
    >>> seconds.count, seconds.total
    (4.0, 7.65)
    """

    __slots__ = ("_bounds", "_cells", "series")

    def __init__(self, series: Series, cells: memoryview[float]) -> None:
        self.series, self._bounds, self._cells = series, series.bounds, cells

    @property
    def count(self) -> float:
        """How many values this process saw."""
        return sum(self._cells[:-1])

    @property
    def total(self) -> float:
        """Their sum."""
        return self._cells[-1]

    def observe(self, value: float) -> None:
        """Count a value."""
        cells = self._cells
        cells[bisect_left(self._bounds, value)] += 1.0
        cells[-1] += value


class Region:
    """The cells of one process."""

    __slots__ = ("_bytes", "_known", "_words")

    def __init__(self, view: memoryview[int]) -> None:
        self._bytes = view
        self._words: memoryview[float] = view.cast("d")
        self._known: dict[bytes, memoryview[float]] = {}

    @property
    def pid(self) -> int:
        """The process whose region this is; 0 while it is nobody's."""
        return int(self._words[_PID])

    @property
    def beats(self) -> float:
        """How often its event loop was seen to turn."""
        return self._words[_BEAT]

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return int(self._words[_CONNECTIONS])

    @connections.setter
    def connections(self, count: int) -> None:
        self._words[_CONNECTIONS] = count

    @property
    def is_ready(self) -> bool:
        """Whether the process takes connections."""
        return self._words[_IS_READY] == 1.0

    @is_ready.setter
    def is_ready(self, value: bool) -> None:
        self._words[_IS_READY] = float(value)

    def beat(self) -> None:
        """Tell that the event loop turns."""
        self._words[_BEAT] += 1.0

    def own(self, pid: int) -> None:
        """Give the region to a process, empty."""
        self._words[:_HEADER] = memoryview(bytes(_HEADER * _CELL)).cast("d")
        self._known.clear()
        self._words[_USED], self._words[_PID] = _HEADER, pid

    def cells(self, series: Series) -> memoryview[float]:
        """Return the cells of a series; they are zero when it is new.

        A region that is full gives cells that nobody else reads: no request fails for want of a counter.
        """
        key = series.key()
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._appended(key, series.size)
        return found

    def _appended(self, key: bytes, size: int) -> memoryview[float]:
        words, place = self._words, int(self._words[_USED])
        length = -(-len(key) // _CELL)
        start = place + 2 + length
        if start + size > len(words):
            return memoryview(bytearray(size * _CELL)).cast("d")
        words[place], words[place + 1] = length, size
        self._bytes[(place + 2) * _CELL : start * _CELL] = key.ljust(length * _CELL)
        cells = words[start : start + size]
        cells[:] = memoryview(bytes(size * _CELL)).cast("d")
        words[_USED] = start + size
        return cells

    def copied(self) -> bytes:
        """Return all that is written, at one moment."""
        return bytes(self._bytes[: int(self._words[_USED]) * _CELL])


def _entries(written: bytes) -> Iterator[tuple[Series, list[float]]]:
    """Yield every series of a region's bytes, with its values."""
    words, place = memoryview(written).cast("d"), _HEADER
    while place < len(words):
        length, size = int(words[place]), int(words[place + 1])
        start = place + 2 + length
        key = written[(place + 2) * _CELL : start * _CELL].rstrip()
        place = start + size
        yield _series_of(key), list(words[start:place])


class Totals:
    """Every series of a server at one moment, over all its processes."""

    __slots__ = ("_values", "connections", "cpu_seconds", "resident_bytes")

    def __init__(self, regions: Iterable[bytes], cpu_seconds: float, resident_bytes: int) -> None:
        self._values: dict[Series, list[float]] = {}
        self.connections = 0
        """Connections that are open."""
        self.cpu_seconds, self.resident_bytes = cpu_seconds, resident_bytes
        for written in regions:
            self.connections += int(memoryview(written).cast("d")[_CONNECTIONS])
            for series, values in _entries(written):
                merge(self._values, series, values)

    def __iter__(self) -> Iterator[tuple[Series, list[float]]]:
        return iter(self._values.items())

    def of(self, series: Series) -> list[float]:
        """Return the values of a series, zeros where nobody counted it yet."""
        return self._values.get(series) or [0.0] * series.size


def merge(into: dict[Series, list[float]], series: Series, values: Sequence[float]) -> None:
    """Add the values of one process to those of others."""
    before = into.get(series)
    if before is None:
        into[series] = list(values)
    elif series.kind in {Kind.LATEST, Kind.SHARED}:
        into[series] = [max(pair) for pair in zip(before, values, strict=True)]
    else:
        into[series] = [sum(pair) for pair in zip(before, values, strict=True)]


class Board:
    """The regions of all processes of a server.

    Parameters
    ----------
    regions
        How many there may be at once, the supervisor's among them; with 1 the memory is this process's own.

    Examples
    --------
    >>> board = Board(1)
    >>> rows = Series("rows_total", Kind.COUNTER, "Rows.")
    >>> Counter(rows, board.regions[0].cells(rows)).add(3)
    >>> board.read().of(rows)
    [3.0]
    """

    def __init__(self, regions: int) -> None:
        size = _PAGE + regions * _REGION_BYTES
        self._memory: Any = bytearray(size) if regions == 1 else mmap.mmap(-1, size)
        view = memoryview(self._memory)
        self._head: memoryview[float] = view[:_PAGE].cast("d")
        starts = range(_PAGE, size, _REGION_BYTES)
        self.regions = tuple(Region(view[start : start + _REGION_BYTES]) for start in starts)
        self.regions[0].own(os.getpid())
        self.began = time.time()
        """When the server started, seconds since the epoch."""

    def read(self) -> Totals:
        """Return all that was counted, by every process.

        Raises
        ------
        Fault
            503 if the supervisor stands still while it folds.
        """
        for _ in range(_TRIES):
            before = self._head[0]
            if before % 2 == 0:
                owned = [region for region in self.regions if region.pid]
                written, pids = [region.copied() for region in owned], [region.pid for region in owned]
                cpu, resident = processes.cpu_seconds(pids), processes.resident_bytes(pids)
                if self._head[0] == before:
                    return Totals(written, cpu, resident)
            time.sleep(_PAUSE)
        raise overloaded("metrics", "the counters are being put in order; try again in a second")

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Have readers wait while processes come or go; of the supervisor alone."""
        self._head[0] += 1
        try:
            yield
        finally:
            self._head[0] += 1

    def fold(self, region: Region) -> None:
        """Keep what a process counted that has ended, and free its region; while :meth:`changing`."""
        kept = self.regions[0]
        for series, values in _entries(region.copied()):
            if series.kind in {Kind.GAUGE, Kind.SHARED}:
                continue
            cells = kept.cells(series)
            merged = {series: list(cells)}
            merge(merged, series, values)
            for place, value in enumerate(merged[series]):
                cells[place] = value
        region.own(0)
