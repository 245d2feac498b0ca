"""Whether a server's memory stays flat: resident memory after a warm-up and after many requests, over all processes.

    python benchmarks/serve/endurance.py BUNDLE --requests 200000 [--workers 3 ...]

Every tenth request is one that is refused, and one connection in a hundred requests is new, so that errors and
connections are among what might leak. Ends with 1 if the memory has grown by more than 5%.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
from pathlib import Path

import uvloop
from overhead import body_of, message_of

from steelyard.bundle import load

MOST = 0.05
PAGE = 4096


def tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


def resident(pid: int) -> float:
    """Return MiB, of the anonymous pages that each process has for itself and of the files it has mapped."""
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(pid)) * PAGE / 2**20


async def ask(port: int, good: bytes, bad: bytes, requests: int) -> None:
    for start in range(0, requests, 100):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in range(start, min(start + 100, requests)):
            writer.write(good if place % 10 else bad)
            head = await reader.readuntil(b"\r\n\r\n")
            if (b" 200 " in head.split(b"\r\n")[0]) is not bool(place % 10):
                raise RuntimeError(head.decode())
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        writer.close()


async def many(port: int, good: bytes, bad: bytes, requests: int, connections: int) -> None:
    await asyncio.gather(*(ask(port, good, bad, requests // connections) for _ in range(connections)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--warm-up", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    options, more = parser.parse_known_args()
    good = message_of(*body_of(load(options.bundle), "predict"))
    bad = message_of("/predict", {}, b'{"rows": 3}')
    command = [sys.executable, "-m", "steelyard.cli", "serve", options.bundle, "--no-keys", "--port", "0", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        port = int(re.search(r":(\d+)", server.stdout.readline())[1])
        started = resident(server.pid)
        uvloop.run(many(port, good, bad, options.warm_up, options.connections))
        before = resident(server.pid)
        uvloop.run(many(port, good, bad, options.requests, options.connections))
        after = resident(server.pid)
        server.terminate()
    print(f"resident at the start {started:.1f} MiB, after {options.warm_up:,} requests {before:.1f} MiB")
    print(f"after {options.requests:,} more {after:.1f} MiB: {after / before - 1:+.1%}")
    sys.exit(after > before * (1 + MOST))


if __name__ == "__main__":
    main()
