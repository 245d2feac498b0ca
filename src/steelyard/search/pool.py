"""Local processes: workers started once with the heavy modules loaded, each job in a child of its own."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.contracts import Job
from steelyard.search.codec import job_to_json
from steelyard.search.executors import Finished, News, Report
from steelyard.units import Seconds

GRACE = 0.5
"""Seconds that a job may run beyond its time before it is killed: it stops by itself where it can."""
FOREVER = 1e9
LOOK = 0.1
"""Seconds between looks at deadlines and memory."""


@dataclass(slots=True)
class _Worker:
    """One worker process and the job it is on."""

    process: subprocess.Popen[bytes]
    job: Job | None = None
    child: int | None = None
    started: float = 0.0
    ready: bool = False
    killed: str = ""
    left: dict[str, Any] | None = None
    problem: tuple[str, int] | None = None
    buffer: bytes = field(default=b"")


class LocalPool:
    """An executor of ``slots`` processes on this machine.

    A job that overruns its time by :data:`GRACE`, or holds more than ``memory_bytes``, is killed in its own
    process; a worker that dies is replaced. ``modules`` are imported before the first job.
    """

    def __init__(
        self, slots: int, *, log: Path, threads: int, memory_bytes: int, modules: tuple[str, ...] = ()
    ) -> None:
        self.slots = slots
        self._memory = memory_bytes
        self._modules = modules
        self._log = log
        self._environment = _environment(threads)
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._closed = False
        for _ in range(slots):
            self._start()

    @property
    def busy(self) -> bool:
        """Whether a worker is on a job."""
        return any(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Hand a job to a free worker."""
        worker = next(w for w in self._workers if w.job is None)
        worker.job, worker.child, worker.killed, worker.left, worker.problem = job, None, "", None, None
        worker.started = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # a worker that died is noticed in `wait`
            self._order(worker, job_to_json(job) | {"until": worker.started + min(job.seconds, FOREVER)})

    def load(self, modules: tuple[str, ...]) -> None:
        """Have every worker import modules now, so that no job waits for them."""
        self._modules = tuple(dict.fromkeys((*self._modules, *modules)))
        for worker in self._workers:
            with contextlib.suppress(BrokenPipeError):
                self._order(worker, {"load": list(modules)})

    def wait(self, seconds: Seconds) -> News:
        """Return what happened, looking at deadlines and memory meanwhile."""
        news, end = News(), time.monotonic() + seconds
        while not (news.finished or news.reports):
            left = end - time.monotonic()
            if left <= 0:
                break
            for key, _ in self._selector.select(min(left, LOOK)):
                self._read(key.data, news)
            self._police()
        return news

    def cancel(self) -> None:
        """Kill the children that are at work; their workers live on."""
        for worker in self._workers:
            if worker.job is not None:
                self._stop(worker, "cancelled")

    def close(self) -> None:
        """Kill every worker and its child."""
        self._closed = True
        for worker in self._workers:
            _kill(worker.child)
            worker.process.kill()
            worker.process.wait()
            _hang_up(worker.process)
        self._workers.clear()
        self._selector.close()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - this very interpreter and a module of ours
                [sys.executable, "-m", "steelyard.search.worker", *self._modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        worker = _Worker(process)
        assert process.stdout is not None, "asked for a pipe"
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)

    @staticmethod
    def _order(worker: _Worker, order: dict[str, Any]) -> None:
        assert worker.process.stdin is not None, "asked for a pipe"
        worker.process.stdin.write(json.dumps(order).encode() + b"\n")
        worker.process.stdin.flush()

    def _read(self, worker: _Worker, news: News) -> None:
        assert worker.process.stdout is not None, "asked for a pipe"
        while chunk := worker.process.stdout.read(1 << 16):
            worker.buffer += chunk
        *lines, worker.buffer = worker.buffer.split(b"\n")
        for line in lines:
            self._hear(worker, json.loads(line), news)
        if chunk == b"":  # end of file: the worker itself is gone
            self._replace(worker, news)

    def _hear(self, worker: _Worker, said: dict[str, Any], news: News) -> None:
        if "ready" in said:
            worker.ready = True
        elif "pid" in said:
            worker.child = said["pid"]
        elif "step" in said:
            news.reports.append(Report(said["job"], said["step"], said["value"]))
        elif "left" in said:
            worker.left = said["left"]
        elif "problem" in said:
            worker.problem = (said["problem"], said["exit_code"])
        elif "exit" in said:
            news.finished.append(self._finish(worker, said["exit"]))

    def _finish(self, worker: _Worker, code: int) -> Finished:
        job, seconds = worker.job, time.monotonic() - worker.started
        assert job is not None, "only a busy worker reports an exit"
        worker.job = worker.child = None
        if worker.left is not None:
            return Finished(job=job, left=worker.left, seconds=seconds)
        if worker.problem is not None:
            sentence, exit_code = worker.problem
            return Finished(job=job, left=None, problem=sentence, cause="refused", exit_code=exit_code, seconds=seconds)
        cause = worker.killed or ("memory" if code == -signal.SIGKILL else "died")
        return Finished(job=job, left=None, problem=_why(cause, code, self._log), cause=cause, seconds=seconds)

    def _replace(self, worker: _Worker, news: News) -> None:
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self._workers.remove(worker)
        _kill(worker.child)
        code = worker.process.wait()
        _hang_up(worker.process)
        if worker.job is not None:
            news.finished.append(self._finish(worker, code))
        if not self._closed:
            self._start()

    def _police(self) -> None:
        for worker in self._workers:
            if worker.job is None or worker.killed:
                continue
            if time.monotonic() - worker.started > worker.job.seconds + GRACE:
                self._stop(worker, "late")
            elif worker.child is not None and _resident(worker.child) > self._memory:
                self._stop(worker, "memory")

    def _stop(self, worker: _Worker, cause: str) -> None:
        worker.killed = cause
        if worker.child is not None:
            _kill(worker.child)
        else:
            worker.process.kill()


def _environment(threads: int) -> dict[str, str]:
    """Pin the threads of every numerical library before it is loaded; nothing is fetched from a hub.

    Idle OpenMP threads sleep instead of spinning: on a busy machine spinning makes small trainings many times slower.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
    }


def _kill(child: int | None) -> None:
    if child is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _resident(pid: int) -> int:
    """Return the bytes of memory a process holds for itself; 0 where the system does not tell."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _why(cause: str, code: int, log: Path) -> str:
    match cause:
        case "late":
            return "stopped at its deadline"
        case "cancelled":
            return "stopped with the run"
        case "memory":
            return "ended by the system or by `budget.memory_gb` for the memory it held"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its process died ({name}); {log} has what it printed"
