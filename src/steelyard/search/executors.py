"""Who executes jobs: the contract of an executor, and the one that works in this very process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from steelyard.contracts import Job
from steelyard.errors import SteelyardError
from steelyard.search.execute import execute
from steelyard.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job that came back.

    ``left`` is what :func:`~steelyard.search.execute.execute` returned, or ``None`` where the worker died, was
    stopped, or could not do it; ``problem`` then says why, in words, and ``cause`` in one word: ``"late"``,
    ``"memory"``, ``"died"``, ``"cancelled"`` or ``"refused"``.
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


class Executor(Protocol):
    """Executes jobs, each isolated from the others.

    A job that was submitted comes back exactly once as :class:`Finished`, whatever happens to the process that
    does it. Nothing durable lives here: whoever submits can start another executor and submit again.
    """

    slots: int
    """Jobs that may run at the same time."""

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; at most ``slots`` may be under way."""
        ...

    def load(self, modules: tuple[str, ...]) -> None:
        """Import modules ahead of the jobs that need them, where that saves time."""
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

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    @property
    def busy(self) -> bool:
        """Whether a job waits to be done."""
        return bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Take a job; it is done at the next :meth:`wait`."""
        self._jobs.append(job)

    def wait(self, seconds: Seconds) -> News:
        """Do the jobs taken so far; ``seconds`` does not apply."""
        del seconds
        news = News()
        while self._jobs:
            job = self._jobs.pop(0)
            news.finished.append(_do(job, news.reports))
        return news

    def load(self, modules: tuple[str, ...]) -> None:
        """Import nothing ahead: a job imports what it needs."""

    def cancel(self) -> None:
        """Do nothing: between two waits no job is under way."""

    def close(self) -> None:
        """Forget the jobs not done."""
        self._jobs.clear()


def _do(job: Job, reports: list[Report]) -> Finished:
    def tell(step: int, value: float) -> None:
        reports.append(Report(job.number, step, value))

    began = time.monotonic()
    try:
        left = execute(job, tell)
    except SteelyardError as problem:
        code, seconds = int(problem.exit_code), time.monotonic() - began
        return Finished(job=job, left=None, problem=str(problem), cause="refused", exit_code=code, seconds=seconds)
    return Finished(job=job, left=left, seconds=time.monotonic() - began)
