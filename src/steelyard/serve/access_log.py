"""One JSON line a request on standard error, for a share of them; errors of the server always."""

from __future__ import annotations

import random
import sys
import time

import orjson

from steelyard.serve.http import Scope


class AccessLog:
    """Writes what was asked and how it ended; never bodies, headers or queries, which may hold secrets.

    Writing a line costs 6 microseconds, so by default only errors of the server are written.
    """

    __slots__ = ("_random", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random()  # noqa: S311 - draws a sample, keeps no secret

    def ended(self, request_id: bytes, scope: Scope, status: int, cause: str, seconds: float) -> None:
        """Log a request, if it was drawn or the server failed."""
        if status < 500 and (not self._share or self._random.random() >= self._share):
            return
        line = {
            "time": round(time.time(), 3),
            "id": request_id.decode("latin-1"),
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "ms": round(seconds * 1000, 3),
        }
        if cause:
            line["cause"] = cause
        sys.stderr.write(f"{orjson.dumps(line).decode()}\n")
