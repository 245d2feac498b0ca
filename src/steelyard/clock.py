"""Where the seconds of a trial go: marks along its way, and what they add up to.

Whoever does a part of a trial says so with :func:`phase`; whoever does a whole one opens a clock with :func:`timed`.
A mark costs about 15 microseconds, and a trial of five folds has one or two hundred: some milliseconds.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from steelyard.units import NO_TIME, Seconds

_SCHEDULED, _READ = Path("/proc/thread-self/schedstat"), Path("/proc/self/io")
_NANOSECONDS = 1e9
_SECONDS = ("loading", "preparing", "computing", "waiting", "for_cores", "busy")


class Phase(StrEnum):
    """What a trial does at a time."""

    LOADING = "loading"
    """Reads or writes files: data, modules, bundles."""
    PREPARING = "preparing"
    """Makes rows and columns ready to be trained on, or a model to be shipped."""
    COMPUTING = "computing"
    """Trains, predicts, measures: everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The seconds of a trial, from when it was handed to a worker until it had ended.

    Attributes
    ----------
    loading
        Spent on files, in which waiting for a disk counts.
    preparing, computing
        Spent so, with a processor at work.
    waiting
        In which nothing of the trial ran, at the least: for a worker, for a core, asleep, or for what it did not mark
        as loading. It is wall-clock time beyond processor time; threads that compute meanwhile hide some of it.
    for_cores
        Of waiting: the main thread was ready to run, and other work held the cores. 0 where Linux does not tell.
    busy
        Processor time of all threads, and of processes that ended in it.
    cores
        That the trial was given.
    read_bytes
        Read by calls of the system; not what is mapped into memory.
    """

    loading: Seconds
    preparing: Seconds
    computing: Seconds
    waiting: Seconds
    for_cores: Seconds = NO_TIME
    busy: Seconds
    cores: int = 1
    read_bytes: int = 0

    @property
    def total(self) -> Seconds:
        """All of its seconds."""
        return Seconds(self.loading + self.preparing + self.computing + self.waiting)

    @property
    def idle_share(self) -> float:
        """The share of the core-seconds it held in which no core worked for it, 0 to 1.

        Examples
        --------
        >>> time = dict(loading=Seconds(0.0), preparing=Seconds(0.0), computing=Seconds(4.0), waiting=Seconds(0.0))
        >>> Times(**time, busy=Seconds(4.0), cores=2).idle_share
        0.5
        """
        held = self.total * self.cores
        return min(1.0, max(0.0, 1.0 - self.busy / held)) if held > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return a plain record."""
        seconds = {name: round(float(getattr(self, name)), 6) for name in _SECONDS}
        return {**seconds, "cores": self.cores, "read_bytes": self.read_bytes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Times:
        """Read what :meth:`to_json` wrote."""
        seconds = {name: Seconds(data[name]) for name in _SECONDS}
        return cls(**seconds, cores=int(data["cores"]), read_bytes=int(data["read_bytes"]))


class Clock:
    """Charges wall-clock and processor time to the phase in force, one at a time.

    Parameters
    ----------
    loaded, loaded_busy
        Seconds that a worker read modules and data for this trial before the clock began, and their processor time.
    waited
        Seconds that it waited before, beside those.
    """

    def __init__(self, *, loaded: float = 0.0, loaded_busy: float = 0.0, waited: float = 0.0) -> None:
        self._wall = dict.fromkeys(Phase, 0.0)
        self._cpu = dict.fromkeys(Phase, 0.0)
        self._wall[Phase.LOADING], self._cpu[Phase.LOADING] = loaded, loaded_busy
        self._waited = waited
        self._phase = Phase.COMPUTING
        self._for_cores, self._read = _scheduled(), _read()
        self._now, self._used = time.monotonic(), _used()

    def turn(self, to: Phase) -> Phase:
        """Charge what has passed to the phase in force, and put another one in its place; return the one before."""
        now, used, before = time.monotonic(), _used(), self._phase
        self._wall[before] += now - self._now
        self._cpu[before] += used - self._used
        self._now, self._used, self._phase = now, used, to
        return before

    def times(self, cores: int) -> Times:
        """Return what has passed so far."""
        self.turn(self._phase)
        working = {phase: min(self._wall[phase], self._cpu[phase]) for phase in (Phase.PREPARING, Phase.COMPUTING)}
        still = sum(self._wall[phase] - busy for phase, busy in working.items())
        return Times(
            loading=Seconds(self._wall[Phase.LOADING]),
            preparing=Seconds(working[Phase.PREPARING]),
            computing=Seconds(working[Phase.COMPUTING]),
            waiting=Seconds(self._waited + still),
            for_cores=Seconds(max(0.0, min(_scheduled() - self._for_cores, still))),
            busy=Seconds(sum(self._cpu.values())),
            cores=cores,
            read_bytes=_read() - self._read,
        )


_CLOCK: ContextVar[Clock | None] = ContextVar("steelyard_clock", default=None)


@contextlib.contextmanager
def timed(*, loaded: float = 0.0, loaded_busy: float = 0.0, waited: float = 0.0) -> Iterator[Clock]:
    """Have a clock run, as :class:`Clock` has it; within another one that one goes on, whatever is given here."""
    running = _CLOCK.get()
    if running is not None:
        yield running
        return
    clock = Clock(loaded=loaded, loaded_busy=loaded_busy, waited=waited)
    token = _CLOCK.set(clock)
    try:
        yield clock
    finally:
        _CLOCK.reset(token)


@contextlib.contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Mark what is done here, as a block or as a decorator; marks within are charged for themselves.

    Threads that are started here are not looked at one by one: the mark is that of the thread which waits for them.

    Examples
    --------
    >>> with timed() as clock, phase(Phase.LOADING):
    ...     _ = sum(range(1000))
    >>> times = clock.times(cores=1)
    >>> times.loading > 0, times.preparing
    (True, 0.0)
    """
    clock = _CLOCK.get()
    if clock is None:
        yield
        return
    before = clock.turn(name)
    try:
        yield
    finally:
        clock.turn(before)


def _used() -> float:
    """Return the processor time of this process so far, all threads, and of its processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _scheduled() -> float:
    """Return the seconds so far in which this thread was ready and no core was free; 0 where that is not told."""
    try:
        return int(_SCHEDULED.read_text(encoding="ascii").split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return 0.0


def _read() -> int:
    """Return the bytes that this process has read so far; 0 where that is not told."""
    try:
        lines = _READ.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("rchar:")), 0)
