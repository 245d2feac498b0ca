"""JSON objects over pipes, one a line, without ever blocking: what a run and its workers say to each other."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

CHUNK = 1 << 16


def line(facts: Mapping[str, Any]) -> bytes:
    """Return an object as a line."""
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n"


class Sender:
    """The writing end of a pipe: takes any number of lines at once and hands them on as the pipe takes them."""

    def __init__(self, handle: int) -> None:
        os.set_blocking(handle, False)
        self.handle = handle
        self._waiting = bytearray()

    @property
    def backlog(self) -> int:
        """Bytes that the pipe has not taken yet."""
        return len(self._waiting)

    def send(self, whole: bytes) -> None:
        """Take whole lines; what the pipe does not take now waits for :meth:`push`."""
        self._waiting += whole
        self.push()

    def push(self) -> None:
        """Write as much of the backlog as the pipe takes; a reader that is gone is noticed where it is read from."""
        try:
            while self._waiting:
                del self._waiting[: os.write(self.handle, self._waiting[:CHUNK])]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._waiting.clear()


class Receiver:
    """The reading end of a pipe: gives whole lines; ``ended`` once the other end is closed.

    A line that its writer could not finish is never given.
    """

    def __init__(self, handle: int) -> None:
        os.set_blocking(handle, False)
        self.handle = handle
        self.ended = False
        self._held = bytearray()

    def lines(self) -> list[bytes]:
        """Return the whole lines that have come, each with its end."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.handle, CHUNK):
                self._held += chunk
            self.ended = True
        end = self._held.rfind(b"\n") + 1
        whole, self._held = bytes(self._held[:end]), self._held[end:]
        return whole.splitlines(keepends=True)
