"""Closed loops: ``wrk`` where it is installed, else our own generator, which says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from processes import LOAD_CORE, SERVER_CORE, Running
from servers import Message

from steelyard.load import Plan, Target, Way, with_connections
from steelyard.load.processes import cpu_of

SCRIPT = Path(__file__).resolve().parent / "wrk.lua"


def has_wrk() -> bool:
    """Tell whether wrk is installed (Debian: ``apt-get install wrk``)."""
    return shutil.which("wrk") is not None


def message_of(target: Target, message: Message) -> bytes:
    """Return a request as bytes."""
    headers = dict(message.headers)
    kind = headers.pop("Content-Type")
    extra = (f"{name}: {value}" for name, value in headers.items())
    return target.head(message.path, len(message.body), *extra, kind=kind) + message.body


def closed_loop(server: Running, message: Message, connections: int, seconds: float) -> dict[str, Any]:
    """Keep connections busy; return answers a second, latency in ms, processor ms a request, failures, and the tool.

    ``others`` is the share of the server's core that anybody else took, the kernel's work for the network included.

    Raises
    ------
    subprocess.SubprocessError
        If wrk fails.
    """
    before, busy = cpu_of(server.process.pid), busy_seconds(SERVER_CORE)
    if has_wrk():
        found = _wrk(server.port, message, connections, seconds)
    else:
        found = _own(server.port, message, connections, seconds)
    used, all_used = cpu_of(server.process.pid) - before, busy_seconds(SERVER_CORE) - busy
    others = max(0.0, all_used - used) / seconds
    return found | {"cpu_ms": 1000 * used / max(1, found.pop("requests")), "others": others}


def busy_seconds(core: int) -> float:
    """Return how long a core has worked for anybody since the start of the system."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _wrk(port: int, message: Message, connections: int, seconds: float) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as body:
        body.write(message.body)
        body.flush()
        headers = [f"{name}: {value}" for name, value in message.headers.items()]
        command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s"]
        command += ["--timeout", "10s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}{message.path}", "--", body.name]
        done = subprocess.run([*command, *headers], check=True, capture_output=True, text=True, timeout=seconds + 60)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"generator": "wrk"}


def _own(port: int, message: Message, connections: int, seconds: float) -> dict[str, Any]:
    target = Target.parse(f"http://127.0.0.1:{port}")
    way = Way(target=target, messages=[message_of(target, message)], most=connections)
    result = with_connections(way, Plan(rate=1.0, seconds=seconds, warm_up=0.0), connections)
    latency = {name: result.latency[name].value for name in ("p50", "p99")}
    return {
        "rps": result.rate,
        "requests": result.requests,
        "failed": result.failed,
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "generator": "steelyard",
    }
