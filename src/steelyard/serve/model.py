"""A model that is served: an opened bundle, warmed up, whose speed is known."""

from __future__ import annotations

import hashlib
import io
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from steelyard.bundle import Bundle
from steelyard.bundle import load as load_bundle
from steelyard.bundle.front_ends.base import Cells
from steelyard.bundle.signing import Trust
from steelyard.contracts import NUMERIC, Answer, Column, Kind, Problem, Task
from steelyard.data.waves import encode
from steelyard.errors import BundleRefused, RowsRefused
from steelyard.serve.table import Layout, Table

_SIZES = (1, 8, 16, 32, 64, 128, 256)
_WARM_UP_SECONDS = 0.2
"""For measuring how long batches take; the first answer, which a front end may make slow, comes on top."""
_REPEATS = 3
_ENOUGH = 0.95
"""Share of the highest rate that a smaller batch must reach to be preferred: what waits for a batch waits longer."""
_DIGITS = 16
_WEIGHT = 0.05
"""Of the newest batch in the running mean of slowness."""
_MOST_AT_ONCE = 3.0
"""How much slower than expected one batch may count: another process that takes the core away is no slow row."""
_STEPS = 32
"""Readings of a made-up sequence."""
_SHORTEST = 1e-7
"""Seconds; below, nothing is measured."""


class Served:
    """One version of a model.

    Parameters
    ----------
    name, version
        What clients call it.
    bundle
        The model itself.
    threads
        Threads of one inference. With one, batches are timed by the processor's time, which other work on the machine
        does not stretch.
    """

    __slots__ = ("_clock", "batch", "bundle", "digest", "layout", "name", "pace", "predicts_value", "tags", "version")

    def __init__(self, name: str, version: str, bundle: Bundle, *, threads: int = 1) -> None:
        self.name, self.version, self.bundle = name, version, bundle
        self._clock = time.thread_time if threads == 1 else time.perf_counter
        self.layout = Layout(bundle.reads)
        self.digest = hashlib.sha256(bundle.manifest.to_bytes()).hexdigest()[:_DIGITS]
        """Of the bundle's manifest, which names the digest of every other file."""
        self.predicts_value = bundle.task.problem in NUMERIC
        """Whether it predicts a number, not a class."""
        self.tags = bundle.task.problem is Problem.TAGGING
        """Whether it tags tokens."""
        self.pace = Pace()
        self.batch = 1
        """Rows that are best computed at once, as measured by :meth:`warm_up`."""

    @property
    def task(self) -> Task:
        """What it predicts."""
        return self.bundle.task

    def answer(self, table: Table) -> Answer:
        """Answer typed rows; the same as :meth:`steelyard.bundle.Bundle.answer_rows`.

        Raises
        ------
        RowsRefused
            If a row cannot be answered.
        """
        if len(table) == 1:  # with 64 columns, 0.05 ms where typed columns of length 1 take 0.12
            return self.bundle.answer_cells(self.layout.cells_of(table))
        return self.bundle.answer(self.layout.columns_of(table))

    def warm_up(self) -> None:
        """Answer made-up rows, so that the first client waits for nothing, and measure the time that batches take.

        Raises
        ------
        BundleRefused
            If the model cannot answer at all.
        """
        row = self.layout.of_cells([example(self.layout)])
        try:
            self.answer(row)
        except RowsRefused as problem:
            raise BundleRefused(f"the bundle does not answer a plain row: {problem}") from None
        curve = self._curve(row)
        self.pace = Pace.fitted(curve)
        best = max(rows / seconds for rows, seconds in curve.items())
        self.batch = next(rows for rows, seconds in curve.items() if rows / seconds >= _ENOUGH * best)

    def _curve(self, row: Table) -> dict[int, float]:
        """Return the seconds that batches of some sizes take, the median of a few tries each."""
        until, curve = time.perf_counter() + _WARM_UP_SECONDS, {}
        for rows in _SIZES:
            table = Table(row.numbers.repeat(rows, axis=0), row.others.repeat(rows, axis=0))
            curve[rows] = statistics.median(self._timed(table) for _ in range(_REPEATS))
            if time.perf_counter() + 2 * _REPEATS * curve[rows] > until:
                break
        return curve

    def _timed(self, table: Table) -> float:
        began, clock = time.perf_counter(), self._clock()
        self.answer(table)
        return (self._clock() - clock) or max(time.perf_counter() - began, _SHORTEST)  # virtual machines lose ticks


class Pace:
    """How long a batch is expected to take: a line in its rows, as measured at the start, times how slow it is now.

    Examples
    --------
    >>> pace = Pace.fitted({1: 0.001, 11: 0.002})
    >>> round(pace.expected(21), 6)
    0.003
    >>> for _ in range(200):
    ...     pace.saw(10, 0.1)
    >>> pace.expected(10) > 0.09
    True
    """

    __slots__ = ("_fixed", "_row", "_slowness")

    def __init__(self, fixed: float = 0.0, row: float = 1.0) -> None:
        self._fixed, self._row, self._slowness = fixed, row, 1.0

    @classmethod
    def fitted(cls, curve: dict[int, float]) -> Pace:
        """Return the line through the first and the last point of a curve, seconds by rows."""
        (few, first), (many, last) = min(curve.items()), max(curve.items())
        row = max(0.0, (last - first) / (many - few)) if many > few else first
        return cls(max(0.0, first - row * few), row)

    def expected(self, rows: int) -> float:
        """Return seconds."""
        return self._slowness * (self._fixed + self._row * rows)

    def saw(self, rows: int, seconds: float) -> None:
        """Take in a measured batch: rows may be longer than those of the start (texts, images), or the core busier."""
        ratio = seconds / max(self._fixed + self._row * rows, _SHORTEST)
        self._slowness += _WEIGHT * (min(ratio, _MOST_AT_ONCE * self._slowness) - self._slowness)


def example(layout: Layout) -> Cells:
    """Return the typed cells of a made-up row that any model answers."""
    return {name: _example_cell(column) for name, column in layout.columns.items()}


def _example_cell(column: Column) -> Any:  # noqa: PLR0911 - one return a kind
    match column.kind:
        case Kind.NUMBER | Kind.TIME:
            return 0.0 if column.low is None or column.high is None else (column.low + column.high) / 2
        case Kind.IMAGE:
            return _example_image()
        case Kind.AUDIO:
            return encode(np.random.default_rng(0).normal(scale=0.01, size=16_000), 16_000)
        case Kind.SEQUENCE:
            return np.zeros((_STEPS, len(column.channels)), np.float32)
        case Kind.TEXT:
            return "some words of text"
        case Kind.TOKENS:
            return ("some", "words", "of", "text")
    return None


def _example_image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "PNG")
    return file.getvalue()


def open_served(name: str, folder: Path, *, threads: int, trust: Trust | None = None) -> Served:
    """Open a bundle for serving; where keys are trusted, it must be signed under the name of its folder.

    Raises
    ------
    BundleRefused
        If it is damaged, unsafe, of a newer protocol, or not signed as it must be.
    """
    bundle = load_bundle(folder, threads=threads, trust=trust, version=folder.resolve().name)
    return Served(name, "1", bundle, threads=threads)
