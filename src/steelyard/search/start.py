"""Starts worker processes. One may be started ahead, while the process that will need it still loads itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(slots=True)
class _Ahead:
    """A worker that nobody has taken yet, and the threads that it was started for."""

    process: subprocess.Popen[bytes]
    threads: int


_ahead: list[_Ahead] = []


def ahead() -> None:
    """Start a worker now for the first pool of this process, should that use every core; ends with this process."""
    if not _ahead:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(OSError):  # the pool will start one, or say why it cannot
            _ahead.append(_Ahead(_begin(threads, None), threads))


def worker(threads: int, log: Path) -> subprocess.Popen[bytes]:
    """Return a worker whose libraries use some threads: the one that was started ahead if it suits, else a new one."""
    while _ahead:
        ready = _ahead.pop()
        if ready.threads == threads and ready.process.poll() is None:
            return ready.process
        bury(ready.process)
    return _begin(threads, log)


def bury(process: subprocess.Popen[bytes]) -> int:
    """End a worker, close its pipes and return how it ended."""
    process.kill()
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    return code


def _begin(threads: int, log: Path | None) -> subprocess.Popen[bytes]:
    with open(os.devnull if log is None else log, "ab") as errors:  # noqa: PTH123 - either of the two
        return subprocess.Popen(  # noqa: S603 - this very interpreter and a module of ours
            [sys.executable, "-m", "steelyard.search.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(threads),
            bufsize=0,
        )


def environment(threads: int) -> Mapping[str, str]:
    """Pin the threads of every numerical library before it is loaded; nothing is fetched from a hub.

    Idle OpenMP threads sleep instead of spinning: on a busy machine spinning makes small trainings many times slower.
    A job needs no key to the cluster that it runs in.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    fixed = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
    return {**given, **dict.fromkeys(_PINNED, str(threads)), **fixed}
