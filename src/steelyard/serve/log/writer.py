"""The log's queue and its thread: an answer is put into the queue, and is encoded and written by the thread.

The event loop waits for nothing here, and nothing that goes wrong here reaches a request: it is counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Answer
from steelyard.predictions import Prediction, RecordsRefused, StoreUnavailable, open_store
from steelyard.serve.endpoint import Answered, Asking
from steelyard.serve.log.inputs import Inputs
from steelyard.serve.log.labels import LabelDesk
from steelyard.serve.log.settings import LogSettings
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table
from steelyard.serve.tagged import tags_of

_LOGGER = logging.getLogger("steelyard.serve")
_MOST_ROWS, _MOST_BYTES = 20_000, 64 * 2**20
"""In the queue; more is dropped."""
_LINGER = 0.1
"""Seconds to gather company for a transaction."""
_AT_ONCE = 2000
"""Rows of a transaction, roughly."""
_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
"""Seconds between attempts at a store that fails: doubled each time, up to the second."""
_SAY_AGAIN = 60.0
"""Seconds between two lines about a store that fails."""
_PRUNE_SECONDS = 60.0
_NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answered request as it waits to be encoded."""

    request: str
    answered: Answered
    table: Table
    seconds: float
    at: float
    stages: Mapping[int, str]
    size: int


class PredictionLog:
    """Runs beside the server (:class:`steelyard.serve.app.Companion`).

    Parameters
    ----------
    settings
        What to log, and where.
    metrics
        Where what was written and dropped is counted.
    """

    def __init__(self, settings: LogSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.labels = LabelDesk(settings, metrics)
        self._queue: deque[_Entry] = deque()
        self._put_rows = self._put_bytes = self._taken_rows = self._taken_bytes = 0  # each written by one thread alone
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._inputs: dict[str, Inputs] = {}
        self._store = open_store(settings.address)
        self._pruned_at, self._since_pruned = 0.0, 0
        self._said_at = float("-inf")
        self._written = metrics.counter("steelyard_log_written_total", "Predictions that were logged.")
        dropped = "Predictions that were drawn for the log and not logged, by cause."
        self._full, self._refused, self._late = (
            metrics.counter("steelyard_log_dropped_total", dropped, cause=cause)
            for cause in ("queue_full", "refused", "stopped")
        )
        self._failing = metrics.gauge("steelyard_log_failing", "Whether the log cannot be written now: workers so.")
        self._failures = metrics.counter("steelyard_log_failures_total", "Attempts to write the log that failed.")

    def answered(
        self, answered: Answered, table: Table, asking: Asking, seconds: float, stages: Mapping[int, str] = _NOTHING
    ) -> None:
        """Take note of an answer; called on the event loop.

        Parameters
        ----------
        answered, table, asking
            The answer, the rows and the request.
        seconds
            What the answer took.
        stages
            Which stage answered a row, by its number, where there are several.
        """
        if not self.settings.draws(asking.request_id):
            return
        rows, size = len(table), _bytes_of(table)
        queued_rows, queued_bytes = self._put_rows - self._taken_rows, self._put_bytes - self._taken_bytes
        if queued_rows and (queued_rows + rows > _MOST_ROWS or queued_bytes + size > _MOST_BYTES):
            self._full.add(rows)
            return
        self._put_rows += rows
        self._put_bytes += size
        self._queue.append(_Entry(asking.request_id, answered, table, seconds, time.time(), stages, size))
        if not self._wake.is_set():
            self._wake.set()

    async def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    async def stop(self, grace: float) -> None:
        """Write what is left, within so many seconds; what is left then is dropped."""
        self._stop.set()
        self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, grace)
        await self.labels.close(grace)

    @property
    def waiting(self) -> int:
        """Rows that were taken note of and are neither written nor dropped."""
        return self._put_rows - self._taken_rows

    def _run(self) -> None:
        while not (self._stop.is_set() and not self._queue):
            self._wake.wait()
            self._stop.wait(_LINGER)
            self._wake.clear()
            while entries := self._next():
                self._write([made for entry in entries for made in self._encoded(entry)])
                self._taken_rows += sum(len(entry.table) for entry in entries)
                self._taken_bytes += sum(entry.size for entry in entries)
        self._store.close()

    def _next(self) -> list[_Entry]:
        """Take the oldest entries that make one transaction."""
        entries: list[_Entry] = []
        rows = 0
        while self._queue and rows < _AT_ONCE:
            entries.append(self._queue.popleft())
            rows += len(entries[-1].table)
        return entries

    def _write(self, predictions: list[Prediction]) -> None:
        """Write predictions, and try until it works or the server ends."""
        pause = _PAUSE
        while not (self._stop.is_set() and self._failing.value):
            try:
                self._append(predictions)
            except StoreUnavailable as problem:
                self._failures.add()
                self._failing.set(1)
                self._say(problem)
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._failing.set(0)
            self._prune(len(predictions))
            return
        self._late.add(len(predictions))

    def _append(self, predictions: Sequence[Prediction]) -> None:
        """Write predictions; of those that the store refuses drop each one that it refuses alone."""
        try:
            self._store.append(predictions)
        except RecordsRefused as problem:
            if len(predictions) == 1:
                self._refused.add()
                self._say(problem)
                return
            for prediction in predictions:
                self._append([prediction])
        else:
            self._written.add(len(predictions))

    def _prune(self, written: int) -> None:
        """Keep the log within its bounds, now and then; where that fails the next time will do."""
        bounds, now = self.settings.bounds, time.monotonic()
        self._since_pruned += written
        if self._since_pruned < bounds.rows // 20 and now - self._pruned_at < _PRUNE_SECONDS:
            return
        self._pruned_at, self._since_pruned = now, 0
        try:
            self._store.prune(bounds, now=time.time())
        except StoreUnavailable as problem:
            self._failures.add()
            self._say(problem)

    def _say(self, problem: Exception) -> None:
        now = time.monotonic()
        if now - self._said_at >= _SAY_AGAIN:
            self._said_at = now
            _LOGGER.warning("predictions are answered and not logged: %s", problem)

    def _encoded(self, entry: _Entry) -> Iterable[Prediction]:
        """Yield the rows of a request as they are kept."""
        served, answer = entry.answered.served, entry.answered.answer
        inputs = self._inputs_of(served)
        decided, scores = _said(served, answer)
        for row, said in enumerate(decided):
            yield Prediction(
                request=entry.request,
                row=row,
                at=entry.at,
                model=served.name,
                version=served.version,
                digest=served.digest,
                decided=said,
                scores=scores[row],
                latency=entry.seconds,
                stage=entry.stages.get(row, ""),
                inputs=inputs.of(entry.table, row),
            )

    def _inputs_of(self, served: Served) -> Inputs:
        found = self._inputs.get(served.digest)
        if found is None:
            found = self._inputs[served.digest] = Inputs(self.settings.inputs, served.layout)
        return found


def _said(served: Served, answer: Answer) -> tuple[list[Any], list[tuple[float, ...]]]:
    """Return what is kept of each row's answer: of tags the tags, with spaces between, and how probable each is."""
    if served.tags:
        rows = list(zip(answer.scores, answer.decided, strict=True))
        sure = [tuple(scores[np.arange(len(codes)), codes].tolist()) for scores, codes in rows]
        return [" ".join(tags_of(served, codes)) for _, codes in rows], sure
    decided = answer.decided.tolist()
    if served.predicts_value:
        return [json.dumps(one) if isinstance(one, list) else one for one in decided], [()] * len(decided)
    return [served.task.classes[code] for code in decided], [tuple(row) for row in answer.scores.tolist()]


def _bytes_of(table: Table) -> int:
    """Return about how much memory some rows hold."""
    size = int(table.numbers.nbytes)
    if table.others.size:
        size += sum(_size(cell) for cell in table.others.ravel() if cell is not None)
    return size


def _size(cell: Any) -> int:
    return sum(map(len, cell)) if isinstance(cell, tuple) else len(cell)
