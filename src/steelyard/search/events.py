"""The record of a run: one line an event, appended, flushed to disk, each with a checksum."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.errors import RunUnreadable, RunUnwritable


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: its number from 0, its kind, the seconds the run had spent by then, and facts."""

    number: int
    kind: str
    elapsed: float
    facts: Mapping[str, Any]


def _line(event: Event) -> bytes:
    body = json.dumps(
        {"n": event.number, "kind": event.kind, "elapsed": round(event.elapsed, 6), "facts": dict(event.facts)},
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _parse(line: bytes) -> Event | None:
    """Return the event of a whole line, or ``None`` for a torn or damaged one."""
    head, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if not line.endswith(b"\n") or int(head, 16) != zlib.crc32(body):
            return None
        data = json.loads(body)
    except ValueError:
        return None
    return Event(data["n"], data["kind"], data["elapsed"], data["facts"])


def read_events(path: Path) -> tuple[list[Event], int]:
    """Return the events of a file and the number of bytes they fill.

    A torn last line (the process died while it wrote) is left out. Damage before the last line is not repaired.

    Raises
    ------
    RunUnreadable
        If there is no such file, or a line other than the last is damaged or out of order.
    """
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise RunUnreadable(
            f"{path.parent} is not a run folder ({problem.strerror or problem}); name the folder that "
            "`steelyard run` printed"
        ) from problem
    events: list[Event] = []
    good = 0
    lines = raw.splitlines(keepends=True)
    for number, line in enumerate(lines):
        event = _parse(line)
        if event is None or event.number != number:
            if number == len(lines) - 1:
                break
            raise RunUnreadable(
                f"{path} is damaged at line {number + 1}; restore the file from a copy, or start a new run"
            )
        events.append(event)
        good += len(line)
    return events, good


class EventLog:
    """Appends events to one file. One writer at a time: the caller holds the run's lock.

    An event is on disk when :meth:`append` returns. A torn last line is cut off when the log is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events, size = read_events(path) if path.exists() else ([], 0)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.ftruncate(self._file, size)
            os.lseek(self._file, size, os.SEEK_SET)
        except OSError as problem:
            raise RunUnwritable(_unwritable(path, problem)) from problem
        self._size = size

    def append(self, kind: str, elapsed: float, facts: Mapping[str, Any]) -> Event:
        """Write one event and wait until it is on disk.

        Raises
        ------
        RunUnwritable
            If it cannot be written; the file then ends with the event before.
        """
        with _unbroken():
            return self._append(Event(len(self.events), kind, elapsed, facts))

    def _append(self, event: Event) -> Event:
        line = _line(event)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(28, "No space left on device")  # noqa: TRY301 - a short write is what a full disk does
            os.fsync(self._file)
        except OSError as problem:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise RunUnwritable(_unwritable(self.path, problem)) from problem
        self._size += len(line)
        self.events.append(event)
        return event

    def of(self, kind: str) -> Iterator[Event]:
        """Yield the events of one kind, oldest first."""
        return (event for event in self.events if event.kind == kind)

    def close(self) -> None:
        """Release the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Hold back Ctrl-C and a request to terminate: an event is written and counted, or neither."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unwritable(path: Path, problem: OSError) -> str:
    return (
        f"cannot write {path}: {problem.strerror or problem}; free some space, then go on with "
        "`steelyard run --resume`, or start a new run elsewhere with --out"
    )
