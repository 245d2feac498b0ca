"""Folders that their process holds for as long as it lives; what a killed one left is swept up by the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class Lodging:
    """A folder for the things of one process, under a name that begins with ``prefix``."""

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        above = Path(tempfile.gettempdir()) if parent is None else parent
        _sweep(above, prefix)
        fresh = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=above))
        self._handle = os.open(fresh / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self.path = fresh.rename(above / fresh.name[1:])  # it gets its name once it is held

    def leave(self) -> None:
        """Remove it; may be called twice."""
        if self._handle >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._handle)
            self._handle = -1


def _sweep(parent: Path, prefix: str) -> None:
    """Remove the folders that nobody holds."""
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # it was never held, or is
            handle = os.open(folder / ".lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
