"""The workers that there are: forked, heard, ended."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import orjson

from steelyard.serve.counting import Region
from steelyard.serve.fleet.worker import READY, RETIRE, Duty, become_worker


class State(Enum):
    """What a worker does."""

    STARTING = "opens the bundle"
    ANSWERING = "takes connections"
    LEAVING = "finishes its requests"


@dataclass(slots=True)
class Worker:
    """One worker, as its supervisor sees it; times are of the monotonic clock."""

    pid: int
    region: Region
    report: int
    """File on which it says that it is ready, or why it cannot be."""
    replaces: int = 0
    """Process whose place it takes once it is ready."""
    state: State = State.STARTING
    since: float = field(default_factory=time.monotonic)
    """When it came into its state."""
    beats: float = -1.0
    alive_at: float = field(default_factory=time.monotonic)
    """When its event loop was last seen to turn."""
    said: bytes = b""
    is_condemned: bool = False
    """Whether it was told to die at once."""

    def enter(self, state: State) -> None:
        """Come into a state."""
        self.state, self.since = state, time.monotonic()

    def listen(self) -> bool:
        """Take in what it says; tell whether there will be more."""
        part = os.read(self.report, 65536)
        self.said += part
        if not part:
            os.close(self.report)
            self.report = -1
        elif self.said == READY:
            self.enter(State.ANSWERING)
            self.alive_at = time.monotonic()
        return bool(part)

    def refusal(self) -> tuple[int, str] | None:
        """Return the exit code and the sentence by which it said that it cannot start."""
        if not self.said.startswith(b"["):
            return None
        code, sentence = orjson.loads(self.said)
        return code, sentence

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def leave(self, number: signal.Signals) -> None:
        """Have it finish what it does: for the end of the server (SIGTERM), or for its successor."""
        self.send(number)
        self.enter(State.LEAVING)


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that is no more."""

    worker: Worker
    status: int
    """Exit code, or a signal below 0."""


class Crew:
    """All workers of a server, and the regions in which they count."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._workers: list[Worker] = []

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers))

    def __len__(self) -> int:
        return len(self._workers)

    def find(self, pid: int) -> Worker | None:
        """Return the worker of a process."""
        return next((worker for worker in self._workers if worker.pid == pid), None)

    def of(self, state: State) -> list[Worker]:
        """Return the workers in a state."""
        return [worker for worker in self._workers if worker.state is state]

    def start(self, *, replaces: int = 0) -> Worker | None:
        """Start a worker; ``None`` while no region is free for it, as those that end still hold theirs.

        Raises
        ------
        OSError
            If the system allows no further process.
        """
        taken = {id(worker.region) for worker in self._workers}
        free = (region for region in self._duty.board.regions[1:] if id(region) not in taken)
        region = next(free, None)
        if region is None:
            return None
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()
        supervisor = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if not pid:
                become_worker(self._duty, region, writing, supervisor)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker = Worker(pid, region, reading, replaces)
        self._workers.append(worker)
        return worker

    def reap(self) -> list[Ended]:
        """Take leave of workers that have ended; what they counted is kept."""
        ended: list[Ended] = []
        for worker in self:
            if os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            while worker.report >= 0 and worker.listen():
                pass
            with self._duty.board.changing():  # their time and their counts pass over at one moment
                _, status = os.waitpid(worker.pid, 0)
                self._duty.board.fold(worker.region)
            self._workers.remove(worker)
            ended.append(Ended(worker, os.waitstatus_to_exitcode(status)))
        return ended

    def retire(self, pid: int) -> None:
        """Have the worker of a process leave, if it is there."""
        worker = self.find(pid)
        if worker is not None:
            worker.leave(RETIRE)
