"""Who executes jobs: the contract of an executor, and the one that works in this very process.

:func:`steelyard.testing.check_executor` tells whether an executor keeps it.
"""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from steelyard.contracts import Job
from steelyard.errors import SteelyardError
from steelyard.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job that came back.

    ``job`` is the very object that was submitted. ``left`` is what :func:`~steelyard.search.execute.execute`
    returned, or ``None`` where there is nothing; ``problem`` then says why, in words, and ``cause`` in one word:

    - ``"late"``: stopped at its deadline
    - ``"memory"``: ended for the memory it held
    - ``"died"``: its own process crashed, was killed or ended by itself
    - ``"silent"``: its process was stopped and did not go on in time
    - ``"lost"``: the worker or the machine that did it is gone; the job may be fine
    - ``"cancelled"``: stopped by :meth:`Executor.cancel`
    - ``"refused"``: it could not be done, for the reason given; ``exit_code`` is that of the error
    """

    job: Job
    left: Mapping[str, Any] | None
    problem: str = ""
    cause: str = ""
    exit_code: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a job in progress said of itself: step and aim (higher better)."""

    number: int
    step: int
    value: float


@dataclass(slots=True)
class News:
    """What happened since the last look."""

    finished: list[Finished] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    losses: list[Report] = field(default_factory=list)
    """Training losses instead of aims, of trainings that tell them."""

    def __bool__(self) -> bool:
        return bool(self.finished or self.reports or self.losses)


class Executor(Protocol):
    """Executes jobs.

    A job that was submitted comes back exactly once as :class:`Finished`, whatever happens to the process that does
    it and however often its result arrives. A job is told apart by its number: one that is under way and submitted
    again is not done twice. A job whose worker is lost before it began is handed to another worker, once. Nothing
    durable lives here: whoever submits can start another executor and submit again.
    """

    slots: int
    """Jobs that may run at the same time."""
    isolates: bool
    """Whether a job that dies, hangs or takes too much memory ends alone, and in time."""

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; at most ``slots`` may be under way."""
        ...

    def load(self, modules: tuple[str, ...], store: Path | None = None) -> None:
        """Take the names of modules that register learners which no package does; read the data of a store ahead.

        What registered learners need is found and imported when a job first does.
        """
        ...

    def wait(self, seconds: Seconds) -> News:
        """Return what happened, as soon as something did and at the latest after ``seconds``."""
        ...

    def cancel(self) -> None:
        """Stop the jobs under way; each still comes back, with the cause ``"cancelled"``."""
        ...

    def close(self) -> None:
        """Stop everything; may be called twice."""
        ...


class InProcess:
    """Executes jobs one after the other in this process: no isolation, no start-up cost."""

    slots = 1
    isolates = False

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._cancelled: list[Job] = []

    @property
    def busy(self) -> bool:
        """Whether a job waits to be done or told."""
        return bool(self._jobs or self._cancelled)

    def submit(self, job: Job) -> None:
        """Take a job; it is done at the next :meth:`wait`."""
        self._jobs.setdefault(job.number, job)

    def wait(self, seconds: Seconds) -> News:
        """Do the jobs taken so far; ``seconds`` does not apply."""
        del seconds
        news = News()
        while self._cancelled:
            news.finished.append(cancelled(self._cancelled.pop(0)))
        while self._jobs:
            job = self._jobs.pop(next(iter(self._jobs)))
            news.finished.append(_do(job, news.reports))
        return news

    def load(self, modules: tuple[str, ...], store: Path | None = None) -> None:
        """Do nothing ahead: a job imports and reads what it needs."""

    def cancel(self) -> None:
        """Stop the jobs that were not done yet."""
        self._cancelled += self._jobs.values()
        self._jobs.clear()

    def close(self) -> None:
        """Forget the jobs not done."""
        self._jobs.clear()
        self._cancelled.clear()


def cancelled(job: Job, seconds: float = 0.0) -> Finished:
    """Return a job that was stopped with the run."""
    return Finished(job=job, left=None, problem="stopped with the run", cause="cancelled", seconds=seconds)


def _do(job: Job, reports: list[Report]) -> Finished:
    def tell(step: int, value: float) -> None:
        reports.append(Report(job.number, step, value))

    began, code = time.monotonic(), 0
    try:
        execute = importlib.import_module("steelyard.search.execute").execute  # half a second that no other needs
        return Finished(job=job, left=execute(job, tell), seconds=time.monotonic() - began)
    except SteelyardError as refusal:
        problem, cause, code = str(refusal), "refused", int(refusal.exit_code)
    except Exception as fault:  # noqa: BLE001 - a job comes back whatever happens in it
        traceback.print_exc()
        problem, cause = f"{type(fault).__name__}: {fault}", "died"
    seconds = time.monotonic() - began
    return Finished(job=job, left=None, problem=problem, cause=cause, exit_code=code, seconds=seconds)
