"""The queue before a model: what waits when the model is free is computed at once.

Nothing waits for company unless a delay was asked for: while one batch is computed the next one gathers by itself. At
one request at a time, then, a batch is one row and costs one turn of the event loop over the inference.

Only while rows keep coming, as they do just after a larger batch was answered and its clients ask again, a batch that
takes long waits for them, no longer than a share of what it is expected to take (``gather``). A
net of 25 MB costs a quarter less per row in batches of 64 than of 32, as its weights are read once for all of them.

A batch that is expected to take less than ``INLINE`` is computed on the event loop itself: a thread and back would
cost more than such a batch takes. Measured on one busy core (a net of 64-256-256-2, JSON of 64 numbers, least of 4
rounds, without HTTP): one request at a time 0.26 ms of processor on the loop and 0.36 ms by the thread, 32 at a time
0.09 and 0.12 ms each, and they are answered in half the time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from steelyard.contracts import Answer
from steelyard.errors import BundleRefused, RowsRefused
from steelyard.serve.faults import Fault, overloaded
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table, joined
from steelyard.serve.tracing import current

INLINE = 0.001
"""Seconds of compute above which a batch goes to the thread, so that the event loop never stands still for longer."""
_NOTICED = 0.001
"""Seconds of waiting after which it is worth looking whether the client is still there."""

GATHER = 0.25
"""Where reading and computing have a core each; the model idles while its batch gathers."""
GATHER_ALONE = 1.0
"""Where they share one core: while requests are read the model could not compute anyway."""
_STILL = 3
"""Turns of the event loop without a new row that are waited for anyway: to hear, to read, to be queued."""
_QUIET = 0.05
"""Share of the most that a batch may wait for which it is waited for one more row: clients are woken one by one."""

Outcome = Answer | RowsRefused | BundleRefused


class ClientLeft(Exception):
    """The client closed the connection before its rows were computed; there is nobody to answer."""


class _Job:
    """Rows of one request that wait for the model."""

    __slots__ = ("arrived", "deadline", "future", "has_left", "seconds", "table", "taken")

    def __init__(
        self, table: Table, future: asyncio.Future[Answer], deadline: float, has_left: Callable[[], bool]
    ) -> None:
        self.table, self.future, self.deadline, self.has_left = table, future, deadline, has_left
        self.arrived = time.perf_counter()
        self.taken = self.seconds = 0.0


@dataclass(slots=True)
class _Gathering:
    """How a batch fills while the model is free."""

    rows: int
    until: float
    quiet: float = 0.0
    """Seconds without a new row after which nobody is on the way."""
    still: int = 0
    last: float = 0.0

    def goes_on(self, rows: int) -> bool:
        """Tell whether rows still come, a turn after it was asked last."""
        now = time.perf_counter()
        if rows != self.rows:
            self.rows, self.still, self.last = rows, 0, now
        self.still += 1
        return (self.still <= _STILL or now < self.last + self.quiet) and now < self.until


class Batcher:
    """A queue and a thread for one model. Everything but the computing happens on the event loop.

    Parameters
    ----------
    served
        The model, warmed up.
    metrics
        Where waiting, computing and sizes are counted.
    batch
        Most rows to compute at once; a request that has more is computed alone.
    queue
        Most rows that may wait.
    max_delay
        Seconds that the first row may wait for others while the model is free.
    gather
        Share of its expected time that a batch may wait for clients of the last one to ask again.
    """

    def __init__(
        self,
        served: Served,
        metrics: ModelMetrics,
        *,
        batch: int,
        queue: int,
        max_delay: float = 0.0,
        gather: float = GATHER,
    ) -> None:
        self._served, self._metrics = served, metrics
        self._batch, self._most, self._max_delay, self._gather = batch, queue, max_delay, gather
        self._gathering = _Gathering(0, 0.0)
        self._answered = 0
        """Requests of the last batch, whose clients may be about to ask again."""
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._is_busy = self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"model-{served.name}")

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self._waiting

    @property
    def batch(self) -> int:
        """Most rows that are computed at once."""
        return self._batch

    @property
    def max_delay(self) -> float:
        """Seconds that a row may wait for company."""
        return self._max_delay

    async def answer(self, table: Table, *, wait: float, has_left: Callable[[], bool]) -> Answer:
        """Answer some rows.

        Parameters
        ----------
        table
            The rows.
        wait
            Most seconds to spend in the queue.
        has_left
            Tells whether the client has closed the connection.

        Raises
        ------
        Fault
            503 if the queue is full, or the rows waited for too long.
        RowsRefused, BundleRefused
            If the model does not answer these rows.
        ClientLeft
            If the client did not wait.
        """
        if self._waiting and self._waiting + len(table) > self._most:
            raise overloaded("queue_full", "the queue is full; try again in a second")
        loop = asyncio.get_running_loop()
        job = _Job(table, loop.create_future(), time.perf_counter() + wait, has_left)
        self._jobs.append(job)
        self._wait(len(table))
        if not self._is_busy:
            self._plan(loop)
        try:
            return await job.future
        finally:
            if (span := current.get()) is not None:
                span.computed(self._served.name, job.arrived, job.taken, job.seconds)

    def close(self) -> None:
        """End the thread, after the batch that it computes."""
        self._thread.shutdown()

    def _wait(self, rows: int) -> None:
        """Take note of rows that came to the queue, or left it."""
        self._waiting += rows
        self._metrics.waiting.set(self._waiting)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the queue looked at: in the next turn of the loop, so that what arrives in this one goes along."""
        if self._waiting < self._batch and self._max_delay:
            if self._timer is None:
                left = self._jobs[0].arrived + self._max_delay - time.perf_counter()
                self._timer = loop.call_later(max(0.0, left), self._dispatch, loop)
        elif not self._is_due:
            self._is_due = True
            expected = self._served.pace.expected(self._waiting)
            is_worth_it = expected > INLINE and len(self._jobs) < self._answered
            patience = self._gather * expected if is_worth_it else 0.0
            now = time.perf_counter()
            self._gathering = _Gathering(self._waiting, now + patience, _QUIET * patience, last=now)
            loop.call_soon(self._dispatch, loop)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        is_short = not self._is_busy and self._waiting < self._batch
        if is_short and self._is_due and self._gathering.goes_on(self._waiting):
            loop.call_soon(self._dispatch, loop)
            return
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_busy or not (jobs := self._take()):
            return
        tables = [job.table for job in jobs]
        if self._served.pace.expected(sum(map(len, tables))) > INLINE:
            self._is_busy = True
            running = self._thread.submit(self._compute, tables)
            running.add_done_callback(lambda done: loop.call_soon_threadsafe(self._end, jobs, done, loop))
            return
        outcomes = None
        try:
            outcomes = self._compute(tables)
        finally:
            self._settle(jobs, outcomes, loop)

    def _take(self) -> list[_Job]:
        """Take the oldest jobs that fit one batch; those that are too late or whose client has left end here."""
        taken: list[_Job] = []
        rows, now = 0, time.perf_counter()
        while self._jobs and (not taken or rows + len(self._jobs[0].table) <= self._batch):
            job = self._jobs.popleft()
            self._wait(-len(job.table))
            if problem := _in_vain(job, now):
                self._metrics.failed.add()
                if not job.future.cancelled():
                    job.future.set_exception(problem)
                continue
            self._metrics.wait.observe(now - job.arrived)
            job.taken = now
            taken.append(job)
            rows += len(job.table)
        return taken

    def _compute(self, tables: Sequence[Table]) -> tuple[list[Outcome], float]:
        """Return the outcome of each table, and the seconds that they took together."""
        began = time.perf_counter()
        outcomes = self._outcomes(tables)
        return outcomes, time.perf_counter() - began

    def _outcomes(self, tables: Sequence[Table]) -> list[Outcome]:
        try:
            answer = self._served.answer(joined(tables))
        except (RowsRefused, BundleRefused) as problem:
            if len(tables) == 1:
                return [problem]
            return [self._outcomes([table])[0] for table in tables]  # one bad row fails alone
        return _parted(answer, tables)

    def _end(
        self, jobs: Sequence[_Job], done: Future[tuple[list[Outcome], float]], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Settle what the thread has computed, and go on with what has gathered meanwhile."""
        self._is_busy = False
        problem = done.exception()
        self._settle(jobs, None if problem else done.result(), loop)
        if problem is not None:
            raise problem

    def _settle(
        self, jobs: Sequence[_Job], done: tuple[list[Outcome], float] | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Give every job its outcome; without outcomes something failed that nobody foresaw."""
        if done is None:
            outcomes: Sequence[Outcome | Fault] = [Fault(500, "internal", "the server failed; it was logged")] * len(
                jobs
            )
        else:
            outcomes = done[0]
            self._count(jobs, outcomes, done[1])
        self._answered = len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.seconds = done[1] if done is not None else 0.0
            if job.future.cancelled():
                continue
            if isinstance(outcome, Answer):
                job.future.set_result(outcome)
            else:
                job.future.set_exception(outcome)
        if self._jobs:
            self._plan(loop)

    def _count(self, jobs: Sequence[_Job], outcomes: Sequence[Outcome], seconds: float) -> None:
        metrics, rows = self._metrics, sum(len(job.table) for job in jobs)
        self._served.pace.saw(rows, seconds)
        metrics.compute.observe(seconds)
        metrics.batch_rows.observe(rows)
        answered = [len(job.table) for job, outcome in zip(jobs, outcomes, strict=True) if isinstance(outcome, Answer)]
        metrics.requests.add(len(answered))
        metrics.failed.add(len(jobs) - len(answered))
        metrics.rows.add(sum(answered))
        metrics.last.set(time.time())


def _in_vain(job: _Job, now: float) -> Exception | None:
    """Tell why a job is not worth its work, if so."""
    if now > job.deadline:
        return overloaded("deadline", "the request waited longer than its deadline; try again in a second")
    if job.future.cancelled() or (now - job.arrived > _NOTICED and job.has_left()):
        return ClientLeft()
    return None


def _parted(answer: Answer, tables: Sequence[Table]) -> list[Outcome]:
    """Return the answer of each table out of that of all their rows."""
    if len(tables) == 1:
        return [answer]
    parts: list[Outcome] = []
    start = 0
    for table in tables:
        end = start + len(table)
        parts.append(answer.take(slice(start, end)))
        start = end
    return parts
