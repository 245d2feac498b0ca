"""Rows that were answered are computed again by another version, in the background, and both answers are compared.

It never slows or fails a client: one thread of the lowest priority, begun after the answer was sent, behind a queue
whose rows, requests and bytes are bounded. What finds it full is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import Answer
from steelyard.errors import BundleRefused, RowsRefused
from steelyard.serve.model import Served
from steelyard.serve.releases.tally import Agreement
from steelyard.serve.table import Table

_LOGGER = logging.getLogger("steelyard.serve")
_MOST_JOBS, _MOST_ROWS, _MOST_BYTES = 256, 4096, 64 * 2**20
_NICE = 19


@dataclass(frozen=True, slots=True)
class Copy:
    """The rows of a request, what was answered, and who shall compute them again."""

    table: Table
    answer: Answer
    other: Served
    agreement: Agreement
    """Where the comparison is counted; on the event loop alone."""


class Comparer:
    """A bounded queue, and a thread that computes what is in it.

    Parameters
    ----------
    value_tolerance
        Two predicted numbers that differ by less, relative to the larger one, agree.
    """

    def __init__(self, value_tolerance: float) -> None:
        self._tolerance = value_tolerance
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compare", initializer=_yield_to_others)
        self._jobs = self._rows = self._bytes = 0

    @property
    def waiting(self) -> int:
        """Rows that wait, or are computed."""
        return self._rows

    def offer(self, copy: Copy) -> None:
        """Take a copy, if there is room; it is computed from the next turn of the event loop on."""
        rows, size = len(copy.table), _size(copy.table)
        if self._jobs >= _MOST_JOBS or self._rows + rows > _MOST_ROWS or self._bytes + size > _MOST_BYTES:
            copy.agreement.dropped += rows
            return
        self._jobs += 1
        self._rows += rows
        self._bytes += size
        loop = asyncio.get_running_loop()
        loop.call_soon(self._submit, copy, size, loop)

    def close(self) -> None:
        """End the thread after what it computes; what waits is dropped."""
        self._thread.shutdown(cancel_futures=True)

    def _submit(self, copy: Copy, size: int, loop: asyncio.AbstractEventLoop) -> None:
        try:
            running = self._thread.submit(self._compared, copy)
        except RuntimeError:  # closed meanwhile
            return
        running.add_done_callback(lambda done: _on_loop(loop, lambda: self._end(copy, size, done)))

    def _compared(self, copy: Copy) -> tuple[int, float] | None:
        """Return how many rows disagree and the sum of the differences; ``None`` if the other one does not answer."""
        try:
            again = copy.other.answer(copy.table)
        except (RowsRefused, BundleRefused):
            return None
        if copy.other.tags:
            return _apart(again, copy.answer)
        difference = np.abs(again.scores - copy.answer.scores).mean(axis=1)
        if copy.other.predicts_value:
            largest = np.maximum(np.abs(again.decided), np.abs(copy.answer.decided))
            apart = np.abs(again.decided - copy.answer.decided) > self._tolerance * largest
        else:
            apart = again.decided != copy.answer.decided
        return int(np.count_nonzero(apart)), float(difference.sum())

    def _end(self, copy: Copy, size: int, done: Future[tuple[int, float] | None]) -> None:
        rows = len(copy.table)
        self._jobs -= 1
        self._rows -= rows
        self._bytes -= size
        if done.cancelled():
            return
        if problem := done.exception():
            _LOGGER.error("a comparison failed", exc_info=problem)
        found = None if problem else done.result()
        if found is None:
            copy.agreement.failed += rows
        else:
            copy.agreement.compared(rows=rows, disagreed=found[0], difference=found[1])


def _size(table: Table) -> int:
    """Return about how many bytes the cells take."""
    size = table.numbers.nbytes + table.others.nbytes
    return size + sum(len(cell) for cell in table.others.flat if isinstance(cell, str | bytes))


def _yield_to_others() -> None:
    """Have this thread compute only when no other one wants the core; Linux keeps priorities by thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _on_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody counts any more
        loop.call_soon_threadsafe(work)


def _apart(one: Answer, other: Answer) -> tuple[int, float]:
    """Return how many rows are tagged differently, and the sum over rows of the mean difference of probabilities."""
    pairs = list(zip(one.scores, other.scores, strict=True))
    difference = sum(float(np.abs(a - b).mean()) for a, b in pairs if len(a))
    differ = sum(not np.array_equal(a, b) for a, b in zip(one.decided, other.decided, strict=True))
    return differ, difference
