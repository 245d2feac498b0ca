"""Has one job done while nothing else runs, whoever interrupts."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.contracts import Job
from steelyard.errors import Exit, RunUnwritable
from steelyard.search.executors import Executor, Finished
from steelyard.units import Seconds

TICK = Seconds(0.25)
"""Longest wait between two looks at the clock."""


def send(executor: Executor, job: Job, tick: Callable[[], None]) -> Finished:
    """Submit a job and wait for it; ``tick`` is called meanwhile.

    On Ctrl-C the job is cancelled, and the executor idle, before the interrupt goes on.

    Raises
    ------
    RunUnwritable
        If the job could not write.
    """
    try:
        executor.submit(job)
        while True:
            news = executor.wait(TICK)
            tick()
            for finished in news.finished:
                if finished.job is job:
                    return _writable(finished)
    except KeyboardInterrupt:
        let_go(executor)
        raise


def let_go(executor: Executor) -> None:
    """Cancel what runs and wait until nothing does; what comes back is dropped."""
    executor.cancel()
    while executor.busy:
        executor.wait(TICK)


def _writable(finished: Finished) -> Finished:
    if finished.exit_code == Exit.RUN_UNWRITABLE:
        raise RunUnwritable(finished.problem)
    return finished
