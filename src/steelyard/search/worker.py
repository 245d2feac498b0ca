"""A worker process: loads what trainings need once, then runs each job in a child of its own.

Started by :mod:`steelyard.search.pool` as ``python -m steelyard.search.worker``; jobs come in as JSON lines on
standard input, what happens goes out as JSON lines on standard output. Each job runs in a forked child, so a
crash, a kill or a leak ends with it, and the next one starts from the same clean, loaded process.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from steelyard.errors import SteelyardError
from steelyard.search.codec import job_from_json

ALWAYS = ("numpy", "onnxruntime", "pyarrow", "sklearn.metrics", "steelyard.search.execute")
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve jobs until standard input ends."""
    _die_with_parent()  # nobody writes a run after the process that holds its lock
    os.setsid()  # Ctrl-C is for the process that decides, not for its workers
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print; the protocol must not see it
    _load((*ALWAYS, *sys.argv[1:]))
    _say(out, ready=os.getpid())
    for line in sys.stdin:
        order = json.loads(line)
        if "load" in order:
            _load(order["load"])
        else:
            _serve(order, out)


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):  # what is missing is said by the trial that needs it
            importlib.import_module(module)


def _serve(order: dict[str, Any], out: IO[str]) -> None:
    number = order["number"]
    Store = importlib.import_module("steelyard.search.store").Store  # noqa: N806 - a class
    Store(Path(order["store"])).dataset()  # read once here; every child shares the pages
    child = os.fork()
    if child == 0:
        _child(order, out)
    _say(out, job=number, pid=child)
    _, status = os.waitpid(child, 0)
    _say(out, job=number, exit=os.waitstatus_to_exitcode(status))


def _child(order: dict[str, Any], out: IO[str]) -> None:
    """Do one job and leave without ever returning."""
    code = 1
    try:
        _die_with_parent()
        from steelyard.search.execute import execute  # noqa: PLC0415 - loaded before the fork; named here for mypy

        job = job_from_json(order | {"seconds": order["until"] - time.monotonic()})
        left = execute(job, lambda step, value: _say(out, job=job.number, step=step, value=value))
        _say(out, job=job.number, left=left)
        code = 0
    except SteelyardError as problem:
        _say(out, job=order["number"], problem=str(problem), exit_code=int(problem.exit_code))
        code = 0
    finally:
        with contextlib.suppress(OSError):  # whoever listened is gone, or the disk of the log is full
            out.flush()
            sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies (Linux; elsewhere a pipe error ends it)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(out: IO[str], **facts: object) -> None:
    out.write(json.dumps(facts, separators=(",", ":")) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
