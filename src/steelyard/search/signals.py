"""Ctrl-C and requests to terminate wait while something must not be torn."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Hold Ctrl-C and a request to terminate back until the block has been left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
