"""A server as a process tree on one core: started, timed until it answers, watched, ended with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import BinaryIO

import numpy as np
from servers import Message, Tool, scores_of

from steelyard.load.processes import tree

SERVER_CORE, LOAD_CORE = 0, 1
PATIENCE = 90.0
_CLOSE = 2e-3
"""How far scores may be from those of the graph; each server writes floats in its own way."""


class Failed(ValueError):
    """A server that did not come up, or answered something else than the graph does."""


class Running:
    """A server that answers: its process, its port, and the seconds until its first answer."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, seconds: float) -> None:
        self.process, self.port, self.seconds = process, port, seconds

    @property
    def memory(self) -> int:
        """Bytes of the whole tree, where a page that several processes share counts once (PSS)."""
        return sum(map(_proportional, tree(self.process.pid)))


@contextlib.contextmanager
def running(tool: Tool, model: Path, message: Message, expected: list[float]) -> Iterator[Running]:
    """Start a server on its core, wait for its first right answer, and end it with all it started.

    Raises
    ------
    Failed
        If it does not come up, or answers wrongly.
    """
    port = _free_port()
    command, told = tool.start(tool.python, model, port, tool.batch)
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "STEELYARD_KEY"}} | threads | told
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait(process, lambda: _answer(port, message), expected, log)
            yield Running(process, port, time.perf_counter() - began)
        finally:
            _end(process)


def _wait(
    process: subprocess.Popen[bytes], ask: Callable[[], list[float] | str], expected: list[float], log: BinaryIO
) -> None:
    began, answer = time.perf_counter(), "nothing"
    while time.perf_counter() < began + PATIENCE:
        if process.poll() is not None:
            break
        answer = ask()
        if isinstance(answer, str):
            time.sleep(0.01)
            continue
        if not np.allclose(answer, expected, atol=_CLOSE):
            raise Failed(f"it answers {answer}, and the graph {expected}")
        return
    log.seek(0)
    said = log.read().decode("utf-8", "replace")
    raise Failed(f"it did not come up; it answered {answer}, and said: {said.strip()[-1000:]}")


def _answer(port: int, message: Message) -> list[float] | str:
    """Return the scores that a server answers, or in words what it does instead."""
    line = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("POST", message.path, message.body, dict(message.headers))
        answer = line.getresponse()
        body = answer.read()
        if answer.status != 200:
            return f"{answer.status} {body[:200].decode('utf-8', 'replace')}"
        return scores_of(body, int(answer.headers.get("Inference-Header-Content-Length", 0)))
    except (OSError, HTTPException) as problem:
        return str(problem)
    finally:
        line.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a tree: kindly first, then for good."""
    inside = set(tree(process.pid))
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    for pid in inside | set(tree(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    """Return a port that is free together with the two above it, which some servers take for other protocols."""
    for port in range(18400, 28400, 3):
        with contextlib.ExitStack() as stack:
            try:
                for each in range(port, port + 3):
                    one = stack.enter_context(socket.socket())
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", each))
            except OSError:
                continue
            return port
    raise Failed("no port is free")


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
