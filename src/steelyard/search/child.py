"""A job's own process, forked from a worker: born, watched over and ended."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.clock import timed
from steelyard.errors import SteelyardError
from steelyard.search.wire import Receiver, line

PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """The process of one job. Until :meth:`ended` has told its exit, its number belongs to no other process."""

    ticket: int
    pid: int
    until: float
    words: Receiver
    stopped: float | None = None
    """Since when it has been stopped by a signal, on the monotonic clock."""
    cause: str = ""
    """Why it was killed, in one word."""

    def kill(self, cause: str) -> None:
        """End it with everything that it started."""
        self.cause = self.cause or cause
        _end_group(self.pid)

    def ended(self) -> int | None:
        """Return its exit code if it has ended, negative for a signal; notice whether it was stopped or goes on."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            _end_group(self.pid)  # what it started and left behind; the zombie keeps the number until here
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        change = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
        if change is not None:
            self.stopped = time.monotonic() if change.si_code in {os.CLD_STOPPED, os.CLD_TRAPPED} else None
        return None

    def resident(self) -> int:
        """Return the bytes of memory it holds for itself; 0 where the system does not tell."""
        try:
            resident, shared = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1:3]
        except (OSError, ValueError):
            return 0
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def bear(order: Mapping[str, Any], *, without: tuple[int, ...]) -> Child:
    """Fork the process of a job; ``without`` are handles of the worker that it must not hold."""
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _live(order, parent, writing, (reading, *without))
    os.close(writing)
    with contextlib.suppress(OSError):  # both sides do it: whoever comes first, the group is there when it is needed
        os.setpgid(pid, pid)
    return Child(ticket=order["ticket"], pid=pid, until=order["until"], words=Receiver(reading))


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent dies (Linux), and end now if it has."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _live(order: Mapping[str, Any], parent: int, writing: int, without: tuple[int, ...]) -> None:
    """Do one job and leave without ever returning."""
    code = 1
    try:
        os.setpgid(0, 0)
        die_with(parent)
        for handle in without:
            os.close(handle)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _do(order, _Voice(order["ticket"], writing))
        code = 0
    except Exception:  # noqa: BLE001 - nobody stands above it who could tell
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):  # the disk of the log is full
            sys.stderr.flush()
        os._exit(code)


def _do(order: Mapping[str, Any], say: _Voice) -> None:
    execute = importlib.import_module("steelyard.search.execute").execute
    job_from_json = importlib.import_module("steelyard.search.codec").job_from_json
    try:
        job = job_from_json({**order["job"], "seconds": order["until"] - time.monotonic()})
        with timed(**_before(order)):
            left = execute(
                job, lambda step, value: say(step=step, value=value), lambda step, loss: say(step=step, loss=loss)
            )
        say(left=left)
    except SteelyardError as problem:
        say(problem=str(problem), exit_code=int(problem.exit_code))


def _before(order: Mapping[str, Any]) -> dict[str, float]:
    """Return what a job has spent already: loading in its worker, and waiting for it. Processes share the clock."""
    loaded = float(order.get("loaded", 0.0))
    waited = max(0.0, time.monotonic() - order["began"] - loaded) if "began" in order else 0.0
    return {"loaded": loaded, "loaded_busy": float(order.get("loaded_busy", 0.0)), "waited": waited}


class _Voice:
    """Writes what a job says, one whole line after the other; waits while nobody reads."""

    def __init__(self, ticket: int, handle: int) -> None:
        self._ticket, self._handle = ticket, handle
        self._lock = threading.Lock()  # a learner may report from a thread of its own

    def __call__(self, **facts: object) -> None:
        rest = line({"ticket": self._ticket, **facts})
        with self._lock, contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self._handle, rest) :]


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
