"""What happens to workers, one JSON line an event on standard error."""

from __future__ import annotations

import signal
import sys
import time

import orjson


def say(event: str, **more: object) -> None:
    """Write a line."""
    line = {"time": round(time.time(), 3), "event": event, **more}
    sys.stderr.write(f"{orjson.dumps(line).decode()}\n")
    sys.stderr.flush()


def ending(status: int) -> str:
    """Return how a process ended, of what :func:`os.waitstatus_to_exitcode` gives.

    Examples
    --------
    >>> ending(-9), ending(3)
    ('was killed by SIGKILL', 'ended with code 3')
    """
    if status >= 0:
        return f"ended with code {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
