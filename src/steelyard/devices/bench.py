"""A small fixed benchmark: how fast this machine does what bundles are made of, one thread.

Four graphs, whose weights are expanded from one number each: convolutions, matrix products in float32, the same
products in int8, and a call so small that nothing but calling it takes time. Times are of processor time, the least of
many, so that other work on the machine disturbs them little.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "convolutions": (1, 64, 32, 32),
    "products": (64, 512),
    "int8": (64, 512),
    "calls": (1, 30),
}
"""The graphs, and the shape of what each is given."""
BUNCH = {"calls": 200}
"""Calls that are timed together, where one alone is shorter than a tick of the clock."""
ROUNDS = 30
AIM = 1.5
"""Seconds that the whole benchmark may take, after its graphs are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What the fixed benchmark took somewhere, ms of one thread, and where and when that was.

    Attributes
    ----------
    convolutions, products
        In float32.
    int8
        The same products in int8, quantised on the way.
    calls
        One call of next to nothing.
    """

    convolutions: float
    products: float
    int8: float
    calls: float
    machine: str = ""
    date: str = ""

    @property
    def floats(self) -> float:
        """Time of arithmetic in float32, ms: the geometric mean of its two graphs."""
        return math.sqrt(self.convolutions * self.products)

    @property
    def int8_gain(self) -> float:
        """How many times as fast the products are in int8 as in float32."""
        return self.products / self.int8

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        times = {name: round(float(getattr(self, name)), 6) for name in SHAPES}
        return {**times, "machine": self.machine, "date": self.date}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Timed:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If a time is missing, or none above 0.
        """
        times = {name: data.get(name) for name in SHAPES}
        for name, took in times.items():
            if isinstance(took, bool) or not isinstance(took, int | float) or not 0 < took < math.inf:
                raise ValueError(f"{name} must be a time above 0 ms, as `steelyard targets --measure` prints it")
        return cls(**{n: float(t) for n, t in times.items() if t is not None}, machine=_text(data, "machine"),
                   date=_text(data, "date"))  # fmt: skip


def _text(data: Mapping[str, Any], name: str) -> str:
    return str(data.get(name, ""))


def measure(seconds: float = AIM) -> Timed:
    """Time the fixed benchmark here.

    Parameters
    ----------
    seconds
        About how long it may take; at least three rounds are timed.
    """
    from steelyard.bundle.running import session_of  # noqa: PLC0415 - loads ONNX Runtime

    generator = np.random.default_rng(0)
    given = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    folder = files("steelyard.devices") / "graphs"
    sessions = {name: session_of((folder / f"{name}.onnx").read_bytes(), threads=1) for name in SHAPES}
    least = dict.fromkeys(SHAPES, math.inf)
    end = time.monotonic() + seconds
    for turn in range(ROUNDS):
        if turn >= 3 and time.monotonic() > end:
            break
        for name, session in sessions.items():
            count, fed = BUNCH.get(name, 1), {"x": given[name]}
            start = time.process_time_ns()
            for _ in range(count):
                session.run(None, fed)
            took = (time.process_time_ns() - start) / 1e6 / count
            if turn:  # the first is to warm up
                least[name] = min(least[name], took)
    return Timed(**least, machine=machine(), date=datetime.now(UTC).date().isoformat())


def machine() -> str:
    """Return what this machine calls its processor."""
    for place, mark in ((Path("/proc/device-tree/model"), ""), (Path("/proc/cpuinfo"), "model name")):
        try:
            text = place.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        line = text if not mark else next((x for x in text.splitlines() if x.startswith(mark)), "")
        if found := line.partition(":")[2].strip() if mark else line.strip("\0 \n"):
            return found
    return platform.processor() or platform.machine()
