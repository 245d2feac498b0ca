"""One worker: the child of a fork that opens the bundle and answers until the supervisor says so, or is no more."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import orjson

from steelyard.errors import Exit, SteelyardError
from steelyard.serve.app import App
from steelyard.serve.assembly import make_app
from steelyard.serve.binding import Sockets
from steelyard.serve.counting import Board, Region
from steelyard.serve.metrics import Metrics
from steelyard.serve.server import Server, settle
from steelyard.serve.settings import Settings

RETIRE = signal.SIGUSR1
"""Tells a worker that another one has taken its place: it may wait long for clients that are silent."""
READY = b"ready"
_DIE_WITH_PARENT = 1
"""Linux, ``prctl``: PR_SET_PDEATHSIG."""
_LOGGER = logging.getLogger("steelyard.serve")


@dataclass(frozen=True, slots=True)
class Duty:
    """What every worker of a server does."""

    folder: Path
    settings: Settings
    sockets: Sockets
    board: Board


def become_worker(duty: Duty, region: Region, report: int, supervisor: int) -> NoReturn:
    """Be a worker from now on, and never return.

    Parameters
    ----------
    duty
        What to serve.
    region
        Where this worker counts.
    report
        File to write to: that it is ready, or why it cannot be.
    supervisor
        Process that must live for this one to live.
    """
    code = int(Exit.UNEXPECTED)
    try:
        _leave_the_supervisor(supervisor)
        region.own(os.getpid())
        _serve(duty, region, report)
        code = int(Exit.DONE)
    except SteelyardError as problem:
        code = int(problem.exit_code)
        os.write(report, orjson.dumps([code, str(problem)]))
    except Exception:  # the process ends here; nobody else could tell
        _LOGGER.exception("worker %d", os.getpid())
    finally:
        sys.stderr.flush()
        os._exit(code)  # what the supervisor registered for its own end is not this process's business


def _leave_the_supervisor(supervisor: int) -> None:
    """Undo what a child inherits, and end with the supervisor: it must never leave workers behind, not even killed."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGHUP, RETIRE):  # a terminal sends the first two to all processes
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    faulthandler.enable()  # one that hangs says where, when it is ended
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(int(Exit.UNEXPECTED))


def _serve(duty: Duty, region: Region, report: int) -> None:
    metrics = Metrics(duty.board, region)
    with contextlib.closing(make_app(duty.folder, duty.settings, metrics)) as app:
        duty.sockets.add_grpc(app)
        settle()
        WorkerServer(app, announce=lambda: _say_ready(report)).run(sockets=[duty.sockets.http])


def _say_ready(report: int) -> None:
    os.write(report, READY)
    os.close(report)


class WorkerServer(Server):
    """A server that tells its supervisor that it lives."""

    def __init__(self, app: App, *, announce: Callable[[], None]) -> None:
        super().__init__(app, announce=announce)
        self._region, self._grace = app.metrics.region, float(app.settings.grace_seconds)

    async def on_tick(self, counter: int) -> bool:
        """Tell that the event loop turns, ten times a second."""
        self._region.beat()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to the supervisor."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(RETIRE, self._retire)
        yield

    def _stop(self, *_: object) -> None:
        self.linger_seconds = Server.linger_seconds
        self.should_exit = True

    def _retire(self, *_: object) -> None:
        if not self.should_exit:
            self.linger_seconds = self._grace
            self.should_exit = True
