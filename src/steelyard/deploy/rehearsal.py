"""One start of the server here, before anything is written: whether it comes up, how soon, and with how much memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from steelyard.deploy.wanted import Wanted
from steelyard.errors import DeploymentRefused, RequestInvalid, ServerRefused, ServerUnreachable
from steelyard.load import Plan, Protocol, Target, Way, what_to_send, with_connections
from steelyard.load.processes import tree
from steelyard.units import Seconds

PATIENCE = Seconds(120.0)
"""How long a server may take to come up."""
_STOPS = 20.0
_BUSY = 4
"""Connections that ask; more of them would gather rows in batches, as many requests do but few do not."""
_ASKING = Plan(rate=1.0, seconds=1.0, warm_up=0.2)
_SAID = 400
"""Characters of a server's last words that are told."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was measured of a server that was started once.

    Attributes
    ----------
    seconds
        From the start of the process until it was ready.
    memory_bytes
        The most that its processes had in memory, warm-up of all batch sizes included.
    request_ms
        Processor time of a request of one made-up row, HTTP included; ``None`` where the model takes no such rows.
    """

    seconds: Seconds
    memory_bytes: int
    request_ms: float | None = None


def rehearse(bundle: Path, wanted: Wanted) -> Rehearsal:
    """Serve a bundle on a loopback address until it is ready, measure that, and stop it.

    Raises
    ------
    DeploymentRefused
        If it does not come up, is not ready, or does not stop when it is told to; the message holds its own words.
    """
    command = [sys.executable, "-m", "steelyard.cli", "serve", str(bundle), "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-keys", *options_of(wanted), *_here(wanted)]
    environment = {name: value for name, value in os.environ.items() if name != "STEELYARD_KEY"}
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        server = subprocess.Popen(  # noqa: S603 - our own command, on our own bundle
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment, text=True
        )
        try:
            address = _announced(server)
            seconds = Seconds(time.perf_counter() - began)
            if not address or not _is_ready(address):
                said.seek(0)
                raise DeploymentRefused(f"the bundle cannot be served: {_last_words(said.read())}")
            request_ms = _asked(address, wanted, server.pid)
            memory = sum(map(_most_resident, tree(server.pid)))
            _stop(server)
        finally:
            server.kill()
            server.communicate()
    return Rehearsal(seconds, memory, request_ms)


def options_of(wanted: Wanted) -> list[str]:
    """Return the options of ``steelyard serve`` that hold wherever the server stands."""
    workers = [] if wanted.workers == 1 else ["--workers", str(wanted.workers)]
    usual = ["--name", wanted.model, "--threads", str(wanted.threads), "--grace", str(wanted.grace)]
    return [*usual, *workers, *wanted.serve]


def _here(wanted: Wanted) -> list[str]:
    """Return the options that read otherwise in a container: a port that is free here, keys where they lie."""
    grpc = [] if wanted.grpc_port is None else ["--grpc-port", "0"]
    return grpc + [word for path in wanted.trust for word in ("--trust", str(path))]


def _announced(server: subprocess.Popen[str]) -> str:
    """Return the address that a server says, or nothing if it ends or takes too long."""
    assert server.stdout is not None
    timer = threading.Timer(PATIENCE, server.kill)  # so that reading comes to an end
    timer.start()
    line = server.stdout.readline()
    timer.cancel()
    found = line.partition("serving at ")[2].split()
    return found[0].rstrip(",;") if found else ""


def _is_ready(address: str) -> bool:
    parts = urlsplit(address)
    assert parts.hostname is not None
    line = HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        line.request("GET", "/v2/health/ready")
        return line.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def _asked(address: str, wanted: Wanted, pid: int) -> float | None:
    """Return the processor time of a request, ms."""
    target = Target.parse(address)
    try:
        messages = what_to_send(target, protocol=Protocol.PREDICT, model=wanted.model, rows=None, batch=1, seed=0)
        target.probe(messages[0])
    except (RequestInvalid, ServerRefused, ServerUnreachable):  # noise is no image, or takes too long
        return None
    way = Way(target=target, messages=messages, most=_BUSY, pid=pid)
    used = with_connections(way, _ASKING, _BUSY).server_cpu
    return None if used is None else used.value


def _stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(_STOPS)
    except subprocess.TimeoutExpired:
        raise DeploymentRefused(f"the server did not stop within {_STOPS:g} s of being told to") from None


def _last_words(said: bytes) -> str:
    words = said.decode("utf-8", "replace").strip().removeprefix("steelyard: ")
    return words[-_SAID:] or f"it said nothing for {PATIENCE:g} s"


def _most_resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
