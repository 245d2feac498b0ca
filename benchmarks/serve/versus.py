"""Steelyard beside other servers: ``make bench-serve`` measures what is missing, then prints table and bars.

The same ONNX graph in each, the server on one core and the load on another, a round of all of them after the other.
Closed loops at 1, 16 and 64 connections (wrk), then an open loop at half of the most that the server came to.
``MINUTES=25`` (the default) starts nothing after that time, ``ONLY=ours,mlserver`` and ``MODELS=tiny`` name a slice,
``ROUNDS=3``, ``FRESH=1`` measures the slice anew. ``SECONDS=2`` is the length of each loop.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import onnxruntime
import verdict
from closed import closed_loop, has_wrk, message_of
from processes import LOAD_CORE, SERVER_CORE, running
from servers import ALL, BATCH, Tool

from steelyard.bundle import About, write
from steelyard.contracts import Column, Kind, Schema
from steelyard.load import Plan, Target, Way, at_rate
from steelyard.recipe import Train

sys.path.append(str(Path(__file__).resolve().parents[1]))

from rows import Bench

CACHE = Path(__file__).resolve().parent / "cache"
MODELS = ("tiny", "big")
CONNECTIONS = (1, 16, 64)
_RAW_SECONDS = 1.0
_REPEATS = 20


def main() -> None:
    """Measure what is missing, print the table, and end with 1 where a bar is not met."""
    os.environ.setdefault("MINUTES", "25")
    only = _words("ONLY") or sorted({tool.name for tool in ALL})
    models = _words("MODELS") or list(MODELS)
    if unknown := [w for w in only if w not in {tool.name for tool in ALL}] + [m for m in models if m not in MODELS]:
        sys.exit(
            f"{unknown[0]!r} is not known; there are {', '.join(sorted({t.name for t in ALL}))}; {', '.join(MODELS)}"
        )
    rounds, seconds = int(os.environ.get("ROUNDS") or verdict.ROUNDS), int(os.environ.get("SECONDS") or 2)
    if (os.cpu_count() or 1) < 2:
        sys.exit("the bench needs two cores: one for the server, one for the load")
    if not has_wrk():
        print("wrk is not installed (apt-get install wrk): closed loops are run by our own generator")
    bench = Bench("serve", packages=("onnxruntime", "numpy", "uvicorn", "uvloop", "orjson"))
    folders = {name: _bundle(name) for name in models}
    for tool in ALL:  # environments are made before the clock of a case runs
        if tool.name in only:
            _ = tool.python
    for number in range(rounds):
        for model, folder in folders.items():
            case = {"tool": "raw", "version": onnxruntime.__version__, "model": model, "setting": "", "round": number}
            bench.measure(case, lambda folder=folder: raw(folder))
            for tool in ALL:
                if tool.name in only:
                    case = verdict.case_of(tool, model, number)
                    bench.measure(case, lambda tool=tool, folder=folder: measured(tool, folder, seconds))
    verdict.show(bench)
    bench.finish()


def _words(variable: str) -> list[str]:
    return os.environ.get(variable, "").replace(",", " ").split()


def _bundle(name: str) -> Path:
    folder = CACHE / name
    if not (folder / "manifest.json").exists():
        CACHE.mkdir(exist_ok=True)
        (CACHE / ".gitignore").write_text("*\n", encoding="ascii")
        schema = Schema(tuple(Column(name=n, kind=Kind.NUMBER, low=0.0, high=1.0) for n in bundles.NAMES))
        about = About(bundles.TASK, schema, Train(learner="mlp"), "random", {})
        write(folder, bundles.net(bundles.LAYERS[name]), about)
    return folder


def _session(folder: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])


def _row() -> np.ndarray:
    return np.random.default_rng(0).random(bundles.NUMBERS).round(6)


def raw(folder: Path) -> dict[str, Any]:
    """Return what ONNX Runtime alone takes on the server's core: processor ms a row, and the median ms of one row."""
    os.sched_setaffinity(0, {SERVER_CORE})
    session, found = _session(folder), {}
    for rows in (1, BATCH):
        given = {"x": np.repeat(_row()[None], rows, axis=0)}
        costs, times, until = [], [], time.perf_counter() + _RAW_SECONDS
        while time.perf_counter() < until:
            began = time.process_time()
            for _ in range(_REPEATS):
                now = time.perf_counter()
                session.run(("scores",), given)
                times.append(time.perf_counter() - now)
            costs.append(time.process_time() - began)
        found[f"cpu_ms_{rows}"] = 1000 * float(np.median(costs)) / _REPEATS / rows
        found[f"p50_ms_{rows}"] = 1000 * float(np.median(times))
    return found


def measured(tool: Tool, folder: Path, seconds: int) -> Mapping[str, Any]:
    """Return the figures of one server in one round.

    Raises
    ------
    ValueError
        If it does not come up, answers wrongly, or fails requests.
    """
    os.sched_setaffinity(0, {LOAD_CORE})
    expected = _session(folder).run(("scores",), {"x": _row()[None]})[0][0].tolist()
    message = tool.ask(_row())
    with running(tool, folder, message, expected) as server:
        closed_loop(server, message, 16, 1)  # warm-up
        found = {str(c): closed_loop(server, message, c, seconds) for c in CONNECTIONS}
        memory = server.memory
        half = max(each["rps"] for each in found.values()) / 2
        target = Target.parse(f"http://127.0.0.1:{server.port}")
        way = Way(target=target, messages=[message_of(target, message)], most=500)
        result = at_rate(way, Plan(rate=half, seconds=2.0 * seconds, warm_up=0.5))
    worst = max(each["failed"] / max(1, each["rps"] * seconds) for each in found.values())
    if worst > 0.01:
        raise ValueError(f"{worst:.1%} of its requests failed")
    return {
        "closed": found,
        "start_seconds": server.seconds,
        "memory_bytes": memory,
        "half": {
            "rps": half,
            **{f"{name}_ms": result.latency[name].value for name in ("p50", "p99")},
            "failed": result.failed,
            "late_ms": result.late,
        },
    }


if __name__ == "__main__":
    main()
