"""One command as a process tree of its own: timed from outside, its memory watched, and ended with all it started.

The driver makes itself the subreaper of what it starts (Linux), so that a process which leaves its parent, as the
helpers of a cluster library do, is still found, counted and ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.2
"""Seconds between two looks at the memory."""
_GROWN = 1.05
"""Growth of the resident memory from which the shared pages are counted anew."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code, its wall-clock seconds, and the memory of its tree at the peak."""

    code: int
    seconds: float
    peak_bytes: int
    """Proportional set size, where a page that several processes share counts once."""
    resident_bytes: int
    """The plain sum of the resident sets, which counts shared pages again for each process."""
    late: bool
    """It was ended because it went on past the limit."""


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    limit: float,
    cores: int,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    most_bytes: float = float("inf"),
) -> Ran:
    """Run a command on the first ``cores`` cores and wait for it; end it after ``limit`` seconds.

    ``log`` takes what it prints. A tree that holds more than ``most_bytes`` is ended too.
    """
    _adopt_orphans()
    tree = _Tree()
    with log.open("ab") as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*_pinned(cores), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**_without_settings(), **threads(cores), **(environment or {})},
            cwd=cwd,
            start_new_session=True,
        )
        watch = _Watch()
        try:
            late = _wait(process.pid, began + limit, lambda: watch.look(tree.pids()) > most_bytes)
            seconds = time.perf_counter() - began
        finally:
            process.kill()  # nothing happens to one that has ended
            code = process.wait()
            tree.end()
    return Ran(code, seconds, watch.shared, watch.resident, late)


def threads(cores: int) -> dict[str, str]:
    """Return the environment that keeps numerical libraries to some threads."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS", "RAYON")
    return {f"{name}_NUM_THREADS": str(cores) for name in names} | {"POLARS_MAX_THREADS": str(cores)}


def _without_settings() -> dict[str, str]:
    """Return the environment without what would reach into a tool: the caller's Python and this harness's settings."""
    python = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
    ours = {"MINUTES", "ONLY", "SETS", "FRESH", "BUDGETS", "SEEDS", "KEEP"}
    return {name: value for name, value in os.environ.items() if name not in python | ours}


def _pinned(cores: int) -> list[str]:
    if shutil.which("taskset") is None or (os.cpu_count() or 1) < cores:
        return []
    return ["taskset", "-c", f"0-{cores - 1}"]


class _Tree:
    """The processes under this one that were not there before: a look costs little, for only new ones are asked."""

    def __init__(self) -> None:
        self._own = os.getpid()
        self._inside = {self._own}
        self._others = _alive() - self._inside

    def pids(self) -> list[int]:
        """Return those that live, parents first."""
        alive = _alive()
        self._inside &= alive
        self._others &= alive
        for pid in sorted(alive - self._inside - self._others):
            (self._inside if _parent(pid) in self._inside else self._others).add(pid)
        return sorted(self._inside - {self._own})

    def end(self) -> None:
        """End all of them, and wait until they are gone."""
        for _ in range(200):
            left = self.pids()
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):  # who has another parent is reaped there, or comes to us
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.02)


@dataclass(slots=True)
class _Watch:
    """The most memory seen so far, in bytes."""

    resident: int = 0
    shared: int = 0
    _counted: int = field(default=0, repr=False)

    def look(self, pids: Sequence[int]) -> int:
        """Sum the memory of processes and return the peak so far.

        Shared pages are dear to count, so that is done only where the plain sum has grown by 5%.
        """
        resident = sum(map(_resident, pids))
        self.resident = max(self.resident, resident)
        if resident > self._counted * _GROWN:
            self._counted = resident
            self.shared = max(self.shared, sum(map(_proportional, pids)))
        return self.shared


def _wait(pid: int, end: float, too_much: Callable[[], bool]) -> bool:
    """Wait for a process, looking at it now and then; return whether it must be ended."""
    handle = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        while not poller.poll(EVERY * 1000):
            if too_much() or time.perf_counter() > end:
                return True
    finally:
        os.close(handle)
    return False


def _alive() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - a tenth of the time


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _adopt_orphans() -> None:
    """Become the parent of those whose parent has gone (``prctl(PR_SET_CHILD_SUBREAPER)``)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
