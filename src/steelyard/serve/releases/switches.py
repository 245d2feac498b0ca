"""The log of switches, which is the state: one line of JSON a switch, only ever added to, each chained to the last.

A line holds the SHA-256 over itself and the chain of the line before, so that an edited, lost or moved line is seen. A
last line without its end is what a writer that was killed left; it never took effect, and the next writer cuts it.
Several processes add to one log, one at a time by a lock on a file beside it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from steelyard.errors import RunUnwritable, SwitchesDamaged
from steelyard.serve.releases.roles import Action, Roles, from_json

LOG = "switches.jsonl"
_START = "0" * 64
_PATIENCE = 5.0
"""Seconds to wait for another writer, each of which takes milliseconds."""
_LOGGER = logging.getLogger("steelyard.serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants to be switched."""

    action: Action
    version: str = ""
    """Of which version; a rollback names none."""
    share: float = 0.0
    """Of a canary."""
    who: str
    why: str = ""
    expect: Roles | None = None
    """The roles as they must be; ``None``: whatever they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One line of the log."""

    number: int
    """From 1."""
    time: float
    """Seconds since the epoch."""
    who: str
    """The beginning of the digest of a key, or what of the server did it."""
    action: Action
    version: str
    digest: str
    """SHA-256 of the manifest of the version, in hexadecimal."""
    why: str
    before: Roles
    after: Roles

    def to_json(self) -> dict[str, Any]:
        """Return a plain record."""
        names = ("number", "time", "who", "action", "version", "digest", "why")
        return {n: getattr(self, n) for n in names} | {"before": self.before.to_json(), "after": self.after.to_json()}


def _chained(data: dict[str, Any], chain: str) -> str:
    plain = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{chain}{plain}".encode()).hexdigest()


class Switches:
    """A log of switches, as far as it was read.

    Parameters
    ----------
    folder
        Where it lies, or will.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.lines: list[Switch] = []
        self._lock_path = self.path.with_suffix(".lock")
        self._chain, self._offset = _START, 0

    @property
    def roles(self) -> Roles:
        """The roles after the last switch."""
        return self.lines[-1].after if self.lines else Roles()

    def digest_of(self, version: str) -> str:
        """Return the digest that a version had when it was last named here, or ``""``."""
        return next((line.digest for line in reversed(self.lines) if line.version == version), "")

    def has_grown(self) -> bool:
        """Tell whether the file is of another length than what was read of it; takes a microsecond."""
        try:
            return os.stat(self.path).st_size != self._offset  # noqa: PTH116 - asked 40 times a second
        except FileNotFoundError:
            return self._offset > 0

    def read(self) -> list[Switch]:
        """Read what was added; a last line without its end is left alone, and so is all while somebody writes.

        Returns
        -------
        list of Switch
            The new lines.

        Raises
        ------
        SwitchesDamaged
            If a line was edited or is lost, or the file cannot be read.
        """
        try:
            with self.path.open("rb", buffering=0) as file, self._shared() as is_mine:
                return self._read(file) if is_mine else []
        except FileNotFoundError:
            if self._offset:
                raise SwitchesDamaged(f"{self.path} is gone; put it back from a copy") from None
            return []
        except OSError as problem:
            raise SwitchesDamaged(f"{self.path} cannot be read: {problem.strerror}; mend that") from None

    @contextlib.contextmanager
    def _shared(self) -> Iterator[bool]:
        """Keep writers away for a moment: what is not on the disk yet may still be taken back."""
        try:
            with self._lock_path.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                yield True
        except BlockingIOError:
            yield False
        except FileNotFoundError:
            yield True  # a copy of a log, which nobody has written here

    def _read(self, file: FileIO) -> list[Switch]:
        if os.fstat(file.fileno()).st_size < self._offset:
            raise SwitchesDamaged(f"{self.path} became shorter; put it back from a copy")
        file.seek(self._offset)
        added: list[Switch] = []
        for line in file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            added.append(self._take(line))
        return added

    def _take(self, line: bytes) -> Switch:
        number = len(self.lines) + 1
        try:
            data = json.loads(line)
            chain = data.pop("chain")
            is_whole = chain == _chained(data, self._chain)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_whole = False
        if not is_whole or data.get("number") != number:
            raise SwitchesDamaged(
                f"line {number} of {self.path} is not what was written, or one before is lost; put it back from a copy"
            )
        switch = _switch(data)
        if switch.before != self.roles:
            raise SwitchesDamaged(f"line {number} of {self.path} does not follow from the one before; see who wrote it")
        self.lines.append(switch)
        self._chain, self._offset = chain, self._offset + len(line)
        return switch

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[Switch], None]]:
        """Hold the log against other processes, read what they added, and give what adds a line.

        Raises
        ------
        RunUnwritable
            If the disk refuses, or another process holds the log for too long; nothing is added then.
        SwitchesDamaged
            If the log is not what was written.
        """
        with _refusals(self.path), self._lock_path.open("ab") as lock:
            _lock(lock, self.path)
            with self.path.open("ab+", buffering=0) as file:
                self._read(file)
                self._cut(file)
                yield lambda switch: self._add(file, switch)

    def _cut(self, file: FileIO) -> None:
        torn = os.fstat(file.fileno()).st_size - self._offset
        if torn:
            _LOGGER.warning("%s: cut %d bytes of a switch that was never finished", self.path, torn)
            file.truncate(self._offset)

    def _add(self, file: FileIO, switch: Switch) -> None:
        data = switch.to_json()
        line = json.dumps({**data, "chain": _chained(data, self._chain)}, separators=(",", ":")).encode() + b"\n"
        is_first = not self._offset
        try:
            _write(file, line)
            os.fsync(file.fileno())
            if is_first:
                _flush(self.path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), self._offset)
            raise
        self._take(line)


def _write(file: FileIO, line: bytes) -> None:
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _switch(data: dict[str, Any]) -> Switch:
    try:
        roles = {name: from_json(data[name]) for name in ("before", "after")}
        return Switch(**{**data, **roles, "action": Action(data["action"])})
    except (KeyError, TypeError, ValueError):
        raise SwitchesDamaged("the log of switches was written by another Steelyard; upgrade this one") from None


def _lock(lock: BinaryIO, path: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise RunUnwritable(
                    f"another process holds {path} for over {_PATIENCE:g} s; see what it does"
                ) from None
            time.sleep(0.005)
        else:
            return


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise RunUnwritable(
            f"cannot write {path}: {problem.strerror}; free some space, or name a folder that can be written: --state"
        ) from problem


def _flush(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
