"""A job under way in a pool: since when, in which process, and what came of it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.contracts import Job
from steelyard.search.executors import Finished

FOREVER = 1e9
"""Seconds that stand for endless ones where a number is needed."""


@dataclass(slots=True)
class Errand:
    """A job under way.

    ``ticket`` tells this attempt of a pool from all others; ``again`` whether a worker was lost before it began;
    ``pid`` is its process once it has begun; ``left`` or ``refusal`` (a sentence and an exit code) what came of it.
    """

    job: Job
    ticket: int
    began: float
    again: bool = False
    pid: int | None = None
    left: dict[str, Any] | None = None
    refusal: tuple[str, int] | None = None

    @property
    def until(self) -> float:
        """When its time is over, on the monotonic clock."""
        return self.began + min(self.job.seconds, FOREVER)

    @property
    def settled(self) -> bool:
        """Whether what came of it is known, however its process ends."""
        return self.left is not None or self.refusal is not None

    def finished(self, cause: str, problem: str) -> Finished:
        """Return it as it comes back: with what came of it, else without a result for a cause."""
        seconds, code = time.monotonic() - self.began, 0
        if self.left is not None:
            return Finished(job=self.job, left=self.left, seconds=seconds)
        if self.refusal is not None:
            cause, (problem, code) = "refused", self.refusal
        return Finished(job=self.job, left=None, problem=problem, cause=cause, exit_code=code, seconds=seconds)


def why(cause: str, code: int, log: Path) -> str:
    """Say why a job left nothing."""
    match cause:
        case "late":
            return "stopped at its deadline"
        case "cancelled":
            return "stopped with the run"
        case "silent":
            return "ended because its process had been stopped and did not go on"
        case "memory":
            return "ended by the system or by `budget.memory_gb` for the memory it held"
    return f"its process died ({how_it_ended(code)}); {log} has what it printed"


def how_it_ended(code: int) -> str:
    """Name an exit code; below 0 it is a signal.

    Examples
    --------
    >>> how_it_ended(-9), how_it_ended(3)
    ('SIGKILL', 'exit code 3')
    """
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
