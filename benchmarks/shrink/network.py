"""Latency across a network, foretold and measured: a real server behind a proxy that delays, on loopback.

A run (``network.yaml`` beside this file, or the folder that RUN names) says what p50 and p95 a user would see if this
machine were the device (``edge: {device: here}``). Then its bundles answer real rows: the device in this process, the
server in another behind a proxy that holds each request back by half a round trip on either way, arrivals at random.

Two things are held against what was measured: what the run foretold (its bundles were weighed on a quiet machine), and
the mixture of parts that were measured in the same seconds: the device's own times, the server's through such a proxy
with a delay of 1 ms, and the round trips. The second tells whether the arithmetic is right even where the machine is
busy.

    python benchmarks/shrink/network.py           # one run, three ways, two networks
    RUN=runs/mine ONLY=far REQUESTS=200 python benchmarks/shrink/network.py
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Bench
from steelyard.bundle import load
from steelyard.bundle.scores import sureness
from steelyard.client.calls import predict
from steelyard.money.network import POINTS, mixed, plus, points
from steelyard.report.edge import Wanted, edge
from steelyard.search.folder import RunFolder
from steelyard.search.plain_rows import sample_rows
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.search.store import Store, measured_bundle
from steelyard.spec import RoundTrip, Spread

NETWORKS: dict[str, tuple[RoundTrip, float]] = {
    "near": (RoundTrip(Spread.exact(10.0)), 20.0),
    "far": (RoundTrip.lognormal(40.0, 90.0), 20.0),
}
"""The round trip and the requests a second of each."""
REQUESTS = int(os.environ.get("REQUESTS", "500"))
TICK = 1.0
"""Round trip of the control, ms: short, but by the same clock, so that its lateness is in the parts too."""
CLOSE = 0.15
"""How far a foretold percentile across a network may lie from the measured one."""


def record_of() -> RunRecord:
    """Return the run, made now where RUN names none, with this machine as its device."""
    folder = Path(os.environ["RUN"]) if os.environ.get("RUN") else _made()
    found = recount(RunFolder.existing(folder))
    assert found.spec.edge is not None
    part = found.spec.edge.model_copy(update={"device": "here"})
    spec = found.spec.model_copy(
        update={"edge": part, "serving": found.spec.serving.model_copy(update={"latency_p95_ms": None})}
    )
    return replace(found, spec=spec, footing=None)


def _made() -> Path:
    folder = Path(tempfile.mkdtemp()) / "run"
    spec = Path(__file__).with_name("network.yaml")
    done = subprocess.run([sys.executable, "-m", "steelyard.cli", "run", str(spec), "--out", str(folder)], check=False,
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode not in (0, 3):
        raise ValueError(done.stderr[-500:])
    return folder


@dataclass(slots=True)
class Proxy:
    """Passes on bytes to a port, each request and its answer held back by half of one draw of the round trip."""

    port: int
    trips: np.ndarray
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        held = {"trip": 0.0, "fresh": True, "due": 0.0}

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, request: bool) -> None:
            while data := await source.read(65536):
                if held["fresh"] is request:  # the first bytes of a request, or of its answer
                    if request:
                        held["trip"] = float(self.rng.choice(self.trips)) / 1000
                    held["due"], held["fresh"] = time.perf_counter() + held["trip"] / 2, not request
                await asyncio.sleep(max(0.0, held["due"] - time.perf_counter()))
                sink.write(data)
            sink.close()

        await asyncio.gather(carry(reader, back, request=True), carry(there, writer, request=False))


class Line:
    """Keeps connections to one port and asks over them, one request at a time each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, row: Mapping[str, Any]) -> bytes:
        """Send one row; return the body of the answer."""
        call = predict([row], None)
        pair = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        heads = {"Host": "localhost", "Content-Length": str(len(call.body)), **call.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in heads.items())
        pair[1].write(f"{call.method} {call.path} HTTP/1.1\r\n{lines}\r\n".encode() + call.body)
        head = (await pair[0].readuntil(b"\r\n\r\n")).decode().lower()
        if " 200 " not in head.splitlines()[0]:
            raise ValueError(head)
        size = int(next(line for line in head.splitlines() if line.startswith("content-length:")).partition(":")[2])
        body = await pair[0].readexactly(size)
        self.idle.append(pair)
        return body


def serve(bundle: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server of a bundle in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = [sys.executable, "-m", "steelyard.cli", "serve", str(bundle), "--port", str(port), "--no-keys"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process, port
    process.terminate()
    raise ValueError(f"{bundle} was not served within a minute")


@dataclass(slots=True)
class Seen:
    """What users of one way saw, ms: all of it, that over a round trip of TICK (the control), the device's part."""

    times: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    device: list[float] = field(default_factory=list)
    reached: int = 0


async def asked(way: str, case: Mapping[str, Any], rows: list[Mapping[str, Any]], rps: float) -> Seen:
    """Ask at random moments; every other request to a server alone goes the same way with the control's delay."""
    far, near, rng, seen = Line(case["far"]), Line(case["near"]), np.random.default_rng(5), Seen()

    async def one(row: Mapping[str, Any], *, delayed: bool) -> None:
        start = time.perf_counter()
        passed = way == "server"
        if way != "server":
            answer = case["front" if way == "cascade" else "edge"].answer_row(row)
            seen.device.append(1000 * (time.perf_counter() - start))
            if way == "cascade":
                rule = case["rule"]
                passed = bool(sureness(rule["measure"], answer.scores, case["task"], answer.amounts)[0] < rule["at"])
        if passed:
            seen.reached += 1
            await (far if delayed else near).ask(row)
        (seen.times if delayed else seen.control).append(1000 * (time.perf_counter() - start))

    for k, row in enumerate(rows[:20]):  # connections are opened, and everything is warm
        await one(row, delayed=bool(k % 2))
    seen.times.clear()
    seen.control.clear()
    seen.device.clear()
    seen.reached, tasks = 0, []
    for k in range(REQUESTS):
        delayed = way != "server" or bool(k % 2)
        tasks.append(asyncio.create_task(one(rows[k % len(rows)], delayed=delayed)))
        await asyncio.sleep(float(rng.exponential(1 / rps)))
    await asyncio.gather(*tasks)
    for line in (far, near):
        for _, writer in line.idle:
            writer.close()
    return seen


def measured(record: RunRecord, name: str) -> dict[str, Any]:
    """Measure all ways of one network beside what was foretold."""
    trip, rps = NETWORKS[name]
    assert record.spec.edge is not None
    part = record.spec.edge.model_copy(update={"round_trip_ms": trip})
    here = replace(record, spec=record.spec.model_copy(update={"edge": part}))
    block, kept, store = edge(here, Wanted(rps=rps)), record.escalated, Store(record.folder)
    assert block is not None
    assert kept is not None
    dataset = store.dataset()
    first = dataset.partition.parts[0].name
    recipes = {trial.number: trial.recipe for trial in record.trials}
    folders = {
        name: store.bundles / measured_bundle(recipes[kept[name]], first)
        for name in ("edge", "server", "front")
        if kept[name] is not None
    }
    rows = sample_rows(dataset, dataset.partition.validation[:400])
    process, port = serve(folders["server"])
    try:
        return asyncio.run(_ways(block, kept, folders, rows, port, points(trip.at), rps, dataset.task))
    finally:
        process.terminate()
        process.wait(30)


async def _ways(  # noqa: PLR0917 - what was foretold, of which bundles, over which network
    block: Any, kept: Any, folders: Any, rows: Any, port: int, trips: Any, rps: float, task: Any
) -> dict[str, Any]:
    proxies = [await asyncio.start_server(Proxy(port, some), "127.0.0.1", 0) for some in (trips, np.full(1, TICK))]
    far, near = (proxy.sockets[0].getsockname()[1] for proxy in proxies)
    case = {"far": far, "near": near, "task": task, "rule": kept.get("rule")}
    case |= {name: load(folder) for name, folder in folders.items() if name != "server"}
    found: dict[str, Any] = {}
    control = np.zeros(POINTS)
    for told in sorted(block["ways"], key=lambda each: ("server", "edge", "cascade").index(each["way"])):
        way = told["way"]
        seen = await asked(way, case, rows, rps)
        if way == "server":
            control = _points(seen.control) - TICK
        own = _points(seen.device) if seen.device else np.zeros(POINTS)
        share = seen.reached / REQUESTS
        mix = mixed(share, own, plus(own, trips, control))
        found[way] = {"reached": share, "told_reached": told["reaches_server"]}
        for at, middle in ((0.5, mix[0]), (0.95, mix[1])):
            name = f"p{at * 100:.0f}"
            found[way][name] = float(np.quantile(seen.times, at))
            found[way][f"mixed_{name}"] = middle
            found[way][f"told_{name}"] = told[f"{name}_ms"]
        print(f"  {way:8} {_said(found[way], 'p50')}; {_said(found[way], 'p95')}; reached the server {share:.1%}, "
              f"foretold {told['reaches_server']:.1%}")  # fmt: skip
    await asyncio.sleep(0.2)
    for proxy in proxies:
        proxy.close()
    return found


def _points(times: list[float]) -> Any:
    return np.quantile(times, (np.arange(POINTS) + 0.5) / POINTS)


def _said(row: Mapping[str, float], at: str) -> str:
    return f"{at} {row[at]:.2f} ms, of its parts {row[f'mixed_{at}']:.2f}, foretold {row[f'told_{at}']:.2f}"


def main() -> None:
    bench = Bench("shrink-network", ("onnxruntime",))
    names = [n for n in NETWORKS if os.environ.get("ONLY", n) == n]
    record: list[RunRecord] = []

    def made() -> RunRecord:
        if not record:
            record.append(record_of())
        return record[0]

    for name in names:
        bench.measure({"network": name, "requests": REQUESTS}, lambda name=name: measured(made(), name))
    for name in names:
        rows = bench.rows(network=name, requests=REQUESTS)
        for way in ("server", "cascade"):
            for at in ("p50", "p95"):
                some = [row[way] for row in rows if way in row]
                bench.bar(f"{name}, {way}: {at} of the parts within {CLOSE:.0%} (or 3 ms) of the measured one", some,
                          lambda rows, at=at: _close(rows, "mixed", at))  # fmt: skip
                bench.bar(f"{name}, {way}: {at} foretold by the run within {CLOSE:.0%} (or 3 ms)", some,
                          lambda rows, at=at: _close(rows, "told", at))  # fmt: skip
    bench.finish()


def _close(rows: Any, source: str, at: str) -> tuple[bool, str]:
    row = rows[-1]
    off = row[f"{source}_{at}"] - row[at]
    return abs(off) <= max(3.0, CLOSE * row[at]), f"{row[f'{source}_{at}']:.1f} ms, measured {row[at]:.1f} ms"


if __name__ == "__main__":
    main()
