"""A server of a bundle on loopback, in a process of its own, for as long as it is measured."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from steelyard.errors import ServingRefused
from steelyard.load import Target

_PATIENCE = 60.0
_STOPS = 20.0


@dataclass(frozen=True, slots=True)
class Server:
    """Its address and its process."""

    target: Target
    pid: int

    def batches(self) -> tuple[float, float]:
        """Return how many rows it has computed so far, and in how many batches."""
        with urllib.request.urlopen(f"{self.target}/metrics", timeout=10) as answer:  # noqa: S310 - our own, loopback
            lines = answer.read().decode().splitlines()
        found = dict.fromkeys(("sum", "count"), 0.0)
        for line in lines:
            name, _, value = line.rpartition(" ")
            for part in found:
                if name.partition("{")[0] == f"steelyard_batch_rows_{part}":
                    found[part] += float(value)
        return found["sum"], found["count"]


@contextmanager
def serving(bundle: Path, *options: str, before: Sequence[str] = ()) -> Iterator[Server]:
    """Serve a bundle to this machine alone; ``before`` goes in front of the command (such as ``taskset -c 0``).

    Raises
    ------
    ServingRefused
        If it does not come up.
    """
    command = [
        *before,
        sys.executable,
        "-m",
        "steelyard.cli",
        "serve",
        str(bundle),
        "--no-keys",
        "--port",
        "0",
        *options,
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True)  # noqa: S603 - our own command
        try:
            yield Server(Target.parse(_address(process, said)), process.pid)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOPS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _address(process: subprocess.Popen[str], said: BinaryIO) -> str:
    assert process.stdout is not None
    timer = threading.Timer(_PATIENCE, process.kill)  # so that reading comes to an end
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    found = line.partition("serving at ")[2].split()
    if not found:
        said.seek(0)
        words = said.read().decode("utf-8", "replace").strip()[-400:]
        raise ServingRefused(f"the bundle cannot be served: {words or f'it said nothing for {_PATIENCE:g} s'}")
    return found[0].rstrip(",;")
