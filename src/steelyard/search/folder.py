"""The run folder: where everything of one run lies, and the lock that keeps a second process out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from steelyard.errors import RunLocked, RunUnreadable, RunUnwritable

RUNS = "runs"
"""Where runs lie that were given no folder."""


class RunFolder:
    """Paths of one run.

    ``spec.yaml`` and ``data.json`` say what was asked and of what data; ``events.jsonl`` is the only source of
    truth; ``bundles/`` holds what trials left, by recipe digest; the reports are views that can be made again.
    ``fresh`` tells that this process made it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path.resolve()
        self.fresh = fresh
        self.spec = self.path / "spec.yaml"
        self.data = self.path / "data.json"
        self.events = self.path / "events.jsonl"
        self.bundles = self.path / "bundles"
        self.page = self.path / "report.html"
        self.report = self.path / "report.json"
        self.card = self.path / "card.md"
        self.clock = self.path / ".clock"
        self.log = self.path / "workers.log"

    @classmethod
    def create(cls, name: str, out: Path | None) -> RunFolder:
        """Make a new run folder: ``out`` itself, or ``runs/<name>-<stamp>``.

        Raises
        ------
        RunUnwritable
            If the folder holds something already, or cannot be made.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = out if out is not None else _free(Path(RUNS) / f"{_plain(name)}-{stamp}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise RunUnwritable(
                    f"{path} is not empty; name another folder with --out, or go on with that run by --resume {path}"
                )
            (path / "bundles").mkdir()
        except OSError as problem:
            raise RunUnwritable(
                f"cannot make the run folder {path}: {problem.strerror or problem}; name a writable one with --out"
            ) from problem
        return cls(path, fresh=True)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """Return the folder of an earlier run.

        Raises
        ------
        RunUnreadable
            If it is not one.
        """
        folder = cls(path)
        if not folder.events.is_file():
            raise RunUnreadable(f"{path} is not a run folder (it has no events.jsonl); name one that a run printed")
        return folder

    def asked(self) -> str:
        """Return the YAML of the spec that the run was begun with.

        Raises
        ------
        RunUnreadable
            If it is gone or not text.
        """
        try:
            return self.spec.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as problem:
            raise RunUnreadable(
                f"{self.spec} is missing or damaged; put the spec of the run back, or start a new run"
            ) from problem

    def clear(self) -> None:
        """Remove a fresh run that ended before its data was read: there is nothing in it to go on with.

        The caller holds the lock, so that it is nobody else's.
        """
        if not self.fresh or self.data.exists():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.parent.name == RUNS:
            with contextlib.suppress(OSError):  # other runs lie in it
                self.path.parent.rmdir()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run while writing it; the kernel lets go when the process dies.

        Raises
        ------
        RunLocked
            If another process holds it.
        RunUnwritable
            If the folder is read-only.
        """
        try:
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise RunUnwritable(
                f"cannot write {self.path}: {problem.strerror or problem}; make the folder writable, "
                "or start a new run with --out"
            ) from problem
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            os.close(handle)
            raise RunLocked(
                f"another process is writing {self.path}; wait for it, stop it, or start a new run with --out"
            ) from problem
        try:
            yield
        finally:
            os.close(handle)


WAY_OUT = "free some space or make it writable, then `steelyard run --resume`"


def write_atomically(path: Path, text: str, *, way_out: str = WAY_OUT) -> None:
    """Write a file so that it is whole or absent, whatever happens.

    Raises
    ------
    RunUnwritable
        If it cannot be written; the earlier file, if any, is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise RunUnwritable(f"cannot write {path}: {problem.strerror or problem}; {way_out}") from problem


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def _free(path: Path) -> Path:
    number, found = 2, path
    while found.exists():
        found = path.with_name(f"{path.name}-{number}")
        number += 1
    return found
