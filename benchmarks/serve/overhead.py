"""What a request costs over raw inference: processor time on one core, and latency at one request at a time.

    python benchmarks/serve/overhead.py BUNDLE --protocol rows --connections 1 16 64

The server is pinned to core 0 and the client to core 1. The client keeps a number of connections busy (closed loop)
with the same request again and again, over plain sockets, and only looks for the length of each answer: it shall not be
what is measured. Processor time is that of the server's process, from /proc. Raw inference is ``session.run`` of ONNX
Runtime on ready tensors, on core 0, before the server runs. Each figure is the lowest and the median of several rounds:
other work on the machine only ever adds. ``floor`` is uvicorn with an application that answers nothing but a constant.
``grpc`` sends the tensor raw, ``grpc-typed`` as numbers of protobuf, each over grpcio's own client: that is slower than
the server, so that fewer requests wait at once than there are connections, and batches are smaller than over REST.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import uvloop
from numpy.typing import NDArray

from steelyard.bundle import Bundle, load
from steelyard.serve.model import example
from steelyard.serve.table import Layout, Table

SERVER_CORE, CLIENT_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")
HTTP, GRPC = ("predict", "json", "binary", "floor"), ("grpc", "grpc-typed")


class Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, and sends it again."""

    def __init__(self, request: bytes, until: float, latencies: list[float]) -> None:
        self.request, self.until, self.latencies = request, until, latencies
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, between, body = self.buffer.partition(b"\r\n\r\n")
        if not between or len(body) < int(re.search(rb"content-length: (\d+)", head)[1]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer[:300].decode()))
            return
        now, self.buffer = time.perf_counter(), b""
        self.latencies.append(now - self.began)
        if now < self.until:
            self.send()
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(None)


async def busy_grpc(address: str, message: bytes, connections: int, seconds: float) -> NDArray[np.float64]:
    from grpc import aio

    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def keep_busy() -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with aio.insecure_channel(address, options) as channel:
            ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            now = time.perf_counter()
            while now < until:
                await ask(message)
                began, now = now, time.perf_counter()
                latencies.append(now - began)

    await asyncio.gather(*(keep_busy() for _ in range(connections)))
    return np.array(latencies)


def message_of_grpc(bundle: Bundle, *, raw: bool) -> bytes:
    from steelyard.serve.grpc.messages import InferRequest

    names = list(Layout(bundle.reads).columns)
    values = np.random.default_rng(0).random(len(names)).round(6)
    request = InferRequest(model_name="model", inputs=[{"name": "rows", "datatype": "FP64", "shape": [1, len(names)]}])
    if raw:
        request.raw_input_contents.append(values.astype("<f8").tobytes())
    else:
        request.inputs[0].contents.fp64_contents.extend(values.tolist())
    encoded: bytes = request.SerializeToString()
    return encoded


def body_of(bundle: Bundle, protocol: str) -> tuple[str, dict[str, str], bytes]:
    layout = Layout(bundle.reads)
    names = list(layout.columns)
    values = np.random.default_rng(0).random(len(names)).round(6).tolist()
    if protocol == "predict":
        return "/predict", {}, orjson.dumps({"rows": [dict(zip(names, values, strict=True))]})
    tensor = {"name": "rows", "datatype": "FP64", "shape": [1, len(names)]}
    path = "/v2/models/model/infer"
    if protocol == "json":
        return path, {}, orjson.dumps({"inputs": [{**tensor, "data": values}]})
    raw = np.array(values, "<f8").tobytes()
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return path, {"Inference-Header-Content-Length": str(len(head))}, head + raw


def message_of(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def busy(port: int, message: bytes, connections: int, seconds: float) -> NDArray[np.float64]:
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Connection(message, until, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in pairs))
    return np.array(latencies)


def raw(bundle: Bundle, rows: int, seconds: float = 1.0) -> tuple[float, float]:
    """Return the least processor milliseconds a row, and the median time in milliseconds of an answer."""
    layout = Layout(bundle.reads)
    one = layout.of_cells([example(layout)])
    columns = layout.columns_of(Table(one.numbers.repeat(rows, axis=0), one.others.repeat(rows, axis=0)))
    model: Any = bundle._model  # noqa: SLF001 - what is measured is below what is public
    tensors, session = model._tensors(columns), model._session  # noqa: SLF001
    costs, times, until = [], [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.process_time()
        for _ in range(20):
            now = time.perf_counter()
            session.run(("scores",), tensors)
            times.append(time.perf_counter() - now)
        costs.append(time.process_time() - began)
    return 1000 * min(costs) / 20 / rows, 1000 * float(np.median(times))


async def floor(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - as ASGI calls it
    """Answer a constant."""
    await receive()
    body = b'{"model_name":"model","outputs":[]}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve_floor() -> None:
    import uvicorn

    bound = socket.create_server(("127.0.0.1", 0))
    print(f"serving at http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    config = uvicorn.Config(floor, lifespan="off", access_log=False, log_config=None, server_header=False)
    uvicorn.Server(config).run(sockets=[bound])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--protocol", choices=[*HTTP, *GRPC], nargs="+", default=["json"])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    options, more = parser.parse_known_args()
    os.sched_setaffinity(0, {SERVER_CORE})
    bundle = load(options.bundle)
    alone = {rows: raw(bundle, rows) for rows in (1, 32, 64)}
    for rows, (used, took) in alone.items():
        print(f"raw, {rows:3} rows at once: {used:.4f} ms of processor a row, {took:.3f} ms an answer")
    serve = [sys.executable, "-m", "steelyard.cli", "serve", options.bundle, "--no-keys", "--port", "0", *more]
    for protocol in options.protocol:
        os.sched_setaffinity(0, {SERVER_CORE})
        command = [sys.executable, __file__, "--serve-floor"] if protocol == "floor" else serve
        if protocol in GRPC:
            command = [*serve, "--grpc-port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            line = server.stdout.readline()
            port = int(re.search(r":(\d+)", line)[1])
            os.sched_setaffinity(0, {CLIENT_CORE})
            if protocol in GRPC:
                message = message_of_grpc(bundle, raw=protocol == "grpc")
                keep_busy = partial(busy_grpc, re.search(r"gRPC at (\S+)", line)[1], message)
            else:
                message = message_of(*body_of(bundle, "json" if protocol == "floor" else protocol))
                keep_busy = partial(busy, port, message)
            for connections in options.connections:
                measure(server.pid, port, protocol, keep_busy, connections, options, alone)
            server.terminate()


def measure(  # noqa: PLR0917 - one place calls it
    pid: int, port: int, protocol: str, keep_busy: Any, connections: int, options: Any, alone: dict[int, Any]
) -> None:
    uvloop.run(keep_busy(connections, 0.5))
    costs, rates, latencies, batches = [], [], [], sizes(port)
    for _ in range(options.rounds):
        before = processor_seconds(pid)
        found = uvloop.run(keep_busy(connections, options.seconds))
        costs.append(1000 * (processor_seconds(pid) - before) / len(found))
        rates.append(len(found) / options.seconds)
        latencies.append(found)
    summed, counted = (after - ago for after, ago in zip(sizes(port), batches, strict=True))
    like = alone[1][0] if summed < 4 * counted else alone[32][0]
    best = min(latencies, key=np.median)
    print(
        f"{protocol:10} c={connections:3}: {max(rates):5.0f} req/s (median {np.median(rates):.0f}), "
        f"processor a request "
        f"{min(costs):.3f} ms (median {np.median(costs):.3f}), over raw in like batches {min(costs) - like:.3f}, "
        f"mean batch {summed / max(counted, 1):.1f}, p50 {1000 * np.median(best):.3f} ms (over raw "
        f"{1000 * np.median(best) - alone[1][1]:.3f}), p99 {1000 * np.quantile(best, 0.99):.3f} ms, "
        f"{alone[32][0] / min(costs):.0%} of raw in batches of 32",
        flush=True,
    )


def sizes(port: int) -> list[float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    found = (re.search(rf"steelyard_batch_rows_{part}{{.*}} (\S+)", text) for part in ("sum", "count"))
    return [float(each[1]) if each else 0.0 for each in found]


if __name__ == "__main__":
    serve_floor() if "--serve-floor" in sys.argv else main()
