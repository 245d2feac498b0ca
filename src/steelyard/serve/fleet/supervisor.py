"""The process that has no model and answers nobody: it keeps the workers at their number."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from steelyard.errors import BundleRefused, ServingRefused, SteelyardError
from steelyard.serve.binding import Sockets
from steelyard.serve.counting import Board
from steelyard.serve.fleet.crew import Crew, Ended, State, Worker
from steelyard.serve.fleet.log import ending, say
from steelyard.serve.fleet.worker import Duty
from steelyard.serve.metrics import Metrics, of_workers
from steelyard.serve.settings import Settings

_TICK = 0.5
"""Seconds between two looks at the workers' hearts."""
_ASLEEP = 5.0
"""Seconds by which a look may be late before it is this process, and so perhaps all of them, that was stopped."""
_SOUND = 10.0
"""Seconds that a worker must have answered for its end to be an accident, after which another one starts at once."""
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 10.0
_ATTEMPTS = 6
"""Starts in a row that may fail while no other worker answers."""
_MARGIN = 5.0
"""Seconds that a worker may take to leave beyond what it was given for requests."""
_LAST_WORDS = 1.0
"""Seconds for a worker that hangs to say where."""


def supervise(folder: Path, settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    """Serve a bundle by several workers until a signal; then have them finish their requests and return.

    Raises
    ------
    BundleRefused
        If the workers cannot open the bundle, or it does not answer.
    ServingRefused
        If workers cannot be started, or do not live.
    """
    try:
        board = Board(2 * settings.workers + 2)  # one that leaves beside each that answers
    except OSError as problem:
        raise ServingRefused(f"no memory to count in: {problem.strerror}; start fewer --workers") from None
    supervisor = Supervisor(Duty(folder, settings, sockets, board), announce)
    with _signals(supervisor) as ear:
        supervisor.run(ear)


class Supervisor:
    """Starts workers, replaces those that end or hang, renews all of them on demand, and ends them.

    Parameters
    ----------
    duty
        What the workers do.
    announce
        Called once, when all of them answer.
    """

    def __init__(self, duty: Duty, announce: Callable[[], None]) -> None:
        self._settings, self._announce = duty.settings, announce
        self._crew = Crew(duty)
        metrics = Metrics(duty.board, duty.board.regions[0])
        self._answering, self._restarts = of_workers(metrics)
        self._is_announced = self._ends = False
        self._failures = 0
        """Workers in a row that ended before they were of use."""
        self._next_start = 0.0
        self._to_renew: list[int] = []
        self._signals: list[signal.Signals] = []
        self._looked_at = time.monotonic()

    def hear(self, number: int, _: object = None) -> None:
        """Take note of a signal, to be heeded in the loop."""
        self._signals.append(signal.Signals(number))

    def run(self, ear: socket.socket) -> None:
        """Keep the workers at their number until a signal says to end, and all of them have.

        Raises
        ------
        BundleRefused, ServingRefused
            If they cannot start.
        """
        try:
            while not self._ends or self._crew:
                self._tick(ear)
        finally:
            for worker in self._crew:
                worker.send(signal.SIGKILL)
            while self._crew:
                self._crew.reap()
                time.sleep(0.01)

    def _tick(self, ear: socket.socket) -> None:
        self._fill()
        self._wait(ear)
        while self._signals:
            self._heed(self._signals.pop(0))
        for ended in self._crew.reap():
            self._mourn(ended)
        for worker in self._crew.of(State.ANSWERING):
            if worker.replaces:
                self._crew.retire(worker.replaces)
                worker.replaces = 0
        self._renew()
        self._examine()
        answering = len(self._crew.of(State.ANSWERING))
        self._answering.set(answering)
        if not self._is_announced and answering == self._settings.workers:
            self._is_announced = True
            self._announce()

    def _wait(self, ear: socket.socket) -> None:
        """Wait for a signal, for a word of a worker, or for the next look at them."""
        poll = select.poll()
        poll.register(ear, select.POLLIN)
        reports = {worker.report: worker for worker in self._crew if worker.report >= 0}
        for report in reports:
            poll.register(report, select.POLLIN)
        seconds = _TICK
        if self._lacking() > 0:
            seconds = min(_TICK, max(0.0, self._next_start - time.monotonic()))
        for file, _ in poll.poll(1000 * seconds):
            if file in reports:
                reports[file].listen()
        with contextlib.suppress(BlockingIOError):
            while ear.recv(1024):
                pass

    def _heed(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            self._to_renew = [worker.pid for worker in self._crew.of(State.ANSWERING)]
            say("renewing", workers=len(self._to_renew))
        elif number in {signal.SIGINT, signal.SIGTERM}:
            was_told = self._ends
            self._ends = True
            for worker in self._crew:
                if was_told and number is signal.SIGINT:
                    worker.send(signal.SIGKILL)
                elif worker.state is State.STARTING:
                    worker.send(signal.SIGKILL)  # it has no request
                elif not was_told:
                    worker.leave(signal.SIGTERM)

    def _lacking(self) -> int:
        """Return how many workers are missing."""
        if self._ends:
            return 0
        there = sum(worker.state is not State.LEAVING and not worker.replaces for worker in self._crew)
        return self._settings.workers - there

    def _fill(self) -> None:
        """Start the workers that are missing, unless the last ones failed a moment ago."""
        while self._lacking() > 0 and time.monotonic() >= self._next_start:
            if not self._start():
                return

    def _start(self, *, replaces: int = 0) -> bool:
        try:
            worker = self._crew.start(replaces=replaces)
        except OSError as problem:
            if not self._crew:
                raise ServingRefused(f"no worker can be started: {problem.strerror}; free some memory") from None
            self._delay()
            say("no_process", why=problem.strerror)
            return False
        if worker is None:
            self._next_start = time.monotonic() + _TICK
        return worker is not None

    def _delay(self) -> None:
        self._failures += 1
        delay = min(_FIRST_DELAY * 2 ** (self._failures - 1), _LONGEST_DELAY)
        self._next_start = time.monotonic() + delay

    def _mourn(self, ended: Ended) -> None:
        """See what the end of a worker means."""
        worker, refusal = ended.worker, ended.worker.refusal()
        for successor in self._crew:
            if successor.replaces == worker.pid:
                successor.replaces = 0
        if self._ends or (worker.state is State.LEAVING and not ended.status):
            return
        is_sound = worker.state is not State.STARTING and time.monotonic() - worker.since > _SOUND
        if is_sound:
            self._failures = 0
        elif worker.state is not State.LEAVING:
            self._delay()
        why = refusal[1] if refusal else ending(ended.status)
        if worker.is_condemned:
            why = f"did not get on for {self._patience(worker):g} s while it {worker.state.value}"
        say("worker_ended", pid=worker.pid, why=why, state=worker.state.value)
        if worker.state is State.STARTING:
            self._judge_start(worker, refusal, why)
        if worker.state is not State.LEAVING and not worker.replaces:
            self._restarts.add()

    def _judge_start(self, worker: Worker, refusal: tuple[int, str] | None, why: str) -> None:
        """End if workers cannot start, and stop renewing them if the new ones cannot.

        Raises
        ------
        BundleRefused, ServingRefused
            If there is no hope.
        """
        if worker.replaces:
            self._to_renew.clear()
            say("renewing_stopped", why="the new worker could not start; the old ones go on")
            return
        if self._is_announced and (self._crew.of(State.ANSWERING) or self._failures < _ATTEMPTS):
            return
        if refusal is not None:
            raise _error_of(*refusal)
        if worker.is_condemned:
            raise ServingRefused(f"a worker {why}; see above where it stood, or allow it more --start-seconds")
        raise ServingRefused(f"a worker {why} before it could answer; free some memory, or start fewer --workers")

    def _renew(self) -> None:
        """Start the next worker that takes the place of an old one, once the one before has left."""
        if self._ends or any(worker.replaces or worker.state is State.LEAVING for worker in self._crew):
            return
        while self._to_renew:
            if self._crew.find(self._to_renew[0]) is None:  # it has ended by itself, and its successor is new
                self._to_renew.pop(0)
                continue
            if time.monotonic() >= self._next_start and self._start(replaces=self._to_renew[0]):
                self._to_renew.pop(0)
            return

    def _examine(self) -> None:
        """End workers that hang, or that do not leave."""
        now = time.monotonic()
        was_asleep = now - self._looked_at > _TICK + _ASLEEP
        self._looked_at = now
        patience = 2 * self._settings.grace_seconds + _MARGIN
        for worker in self._crew:
            if worker.beats != worker.region.beats or was_asleep:
                worker.beats, worker.alive_at = worker.region.beats, now
            silent = now - worker.alive_at
            if worker.state is State.LEAVING and now - worker.since > patience:
                worker.send(signal.SIGKILL)
            elif worker.state is not State.LEAVING:
                self._end_if_hung(worker, silent)

    def _end_if_hung(self, worker: Worker, silent: float) -> None:
        """End a worker that answers nobody, or does not come to the point of it, after so many seconds of silence."""
        patience = self._patience(worker)
        if silent > patience and not worker.is_condemned:
            say("worker_hangs", pid=worker.pid, seconds=round(silent, 1), state=worker.state.value)
            worker.is_condemned = True
            worker.send(signal.SIGABRT)  # it writes where it stands
        elif silent > patience + _LAST_WORDS:
            worker.send(signal.SIGKILL)

    def _patience(self, worker: Worker) -> float:
        is_starting = worker.state is State.STARTING
        return self._settings.start_seconds if is_starting else self._settings.hang_seconds


def _error_of(code: int, sentence: str) -> SteelyardError:
    kinds: dict[int, type[SteelyardError]] = {int(kind.exit_code): kind for kind in (BundleRefused, ServingRefused)}
    return kinds.get(code, ServingRefused)(sentence)


@contextlib.contextmanager
def _signals(supervisor: Supervisor) -> Iterator[socket.socket]:
    """Have signals noted; give the socket that can be read when there is one."""
    heard = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    ear, mouth = socket.socketpair()
    with ear, mouth:
        ear.setblocking(False)
        mouth.setblocking(False)
        before = {number: signal.signal(number, supervisor.hear) for number in heard}
        wakeup = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        try:
            yield ear
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
