"""Predicted capacity against real load: ``python benchmarks/money/capacity.py``.

Six bundles of different kinds are each served on one core; the load comes over loopback from another. Before any load
the bundle's batches are timed, and HTTP is measured with a bundle that computes nothing (:mod:`steelyard.calibrate`).
From that the p95 of latency at 30, 60 and 80% of capacity is predicted, and the highest rate within a target; then the
same is measured. Five rounds are interleaved over the bundles: each round calibrates and measures anew, and the medians
over rounds are compared. Capacity is the predicted highest rate within the target, which is four times the p95 of an
idle server.

Server and generator come before other processes where the system allows it (root, by niceness; not at real-time
priority, under which Linux halts a process that is busy for 950 ms of a second for the rest of it). A test during which
others took more than a tenth of the server's core is made again, three times at most, and then the round is given up.

``ONLY=text,image`` names some bundles, ``ROUNDS=2`` makes fewer rounds, ``MINUTES=4`` ends early (a later call goes
on), ``FRESH=1`` begins anew.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from served import KINDS, bundles_of, rows_of

from rows import Bench, Row
from steelyard.calibrate import calibrate
from steelyard.calibrate.around import NOISY_MS, late_ms
from steelyard.calibrate.server import Server, serving
from steelyard.load import Plan, Protocol, Result, Way, at_rate, find_maximum, what_to_send
from steelyard.load.processes import cpu_of
from steelyard.money import Prices
from steelyard.money.calibration import Calibration
from steelyard.money.queueing import Wait, mdc, mmc

SERVER_CORE, LOAD_CORE = 0, 1
FIRST = -10
"""Niceness of the server and of the load."""
TEXTBOOK = {"mm1": mmc, "md1": mdc}
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SHARES = (0.3, 0.6, 0.8)
JUDGED = ("p95_30", "p95_60", "rate", "million")
LEAST_REQUESTS, LEAST_SECONDS, MOST_SECONDS = 1200, 2.0, 6.0
OTHERS, TRIES = 0.1, 3
TARGET_TIMES = 4.0
"""The latency target is so many times the predicted p95 of an idle server, so that every bundle has one it can keep."""


def main() -> None:
    """Measure what is missing, print predictions beside measurements, and hold them against the bars."""
    only = os.environ.get("ONLY", "").replace(",", " ").split() or list(KINDS)
    if unknown := [name for name in only if name not in KINDS]:
        sys.exit(f"{unknown[0]!r} is not known; there are {', '.join(KINDS)}")
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    bench = Bench("money-capacity", packages=("onnxruntime", "numpy"))
    for turn in range(ROUNDS):
        for name in only:
            bench.measure({"kind": name, "round": turn}, lambda name=name: measured(name), seed=turn)
    summaries = {name: summary(bench.rows(kind=name)) for name in only if bench.rows(kind=name)}
    for name, found in summaries.items():
        print(f"{name:14}" + "".join(f"  {key} {_words(found[key])}" for key in (*JUDGED, "p95_80")))
    _cold([row for name in only for row in bench.rows(kind=name)])
    _paces([row for name in only for row in bench.rows(kind=name)])
    _models([row for name in only for row in bench.rows(kind=name)])
    _bars(bench, [row | {"kind": name} for name, row in summaries.items()])
    bench.finish()


def _cold(rows: Sequence[Row]) -> None:
    """Print what the server spends on a request that finds it asleep, beside one that does not."""
    if rows:
        around = [row["calibration"]["overhead"] for row in rows]
        awake = median(each["turn_ms"] + each["request_ms"] for each in around)
        gap, extra = (median(each["wake"][-1][place] for each in around) for place in (0, 1))
        print(
            f"around a model a request takes {awake:.2f} ms of the processor; with it, {extra:.2f} ms more after "
            f"{gap:.1f} ms without one (medians of {len(rows)} rounds)"
        )


def _paces(rows: Sequence[Row]) -> None:
    """Print how the machine itself varied: between calibration and load, and over all rounds."""
    if rows:
        apart = [max(row["pace_ms"][1:]) / min(row["pace_ms"][1:]) - 1 for row in rows]
        every = [ms for row in rows for ms in row["pace_ms"]]
        print(
            f"a fixed loop took {min(every):.2f} to {max(every):.2f} ms of the processor over {len(rows)} rounds, and "
            f"{median(apart):.0%} more or less (median) after a round's loads than before them"
        )


def _models(rows: Sequence[Row]) -> None:
    """Print how far each model is off at 60%, where it says anything: ours, and one row at a time (M/M/1, M/D/1)."""
    for name in ("predicted", *TEXTBOOK):
        pairs = [(row["p95_60"].get(name), row["p95_60"]["measured"]) for row in rows]
        errors = [abs(said / real - 1) for said, real in pairs if said is not None]
        if errors:
            print(f"p95 at 60% by {name}: off by {median(errors):.0%} (median of {len(errors)} of {len(rows)} rounds)")


def _words(pair: Mapping[str, float]) -> str:
    return f"{pair['predicted']:.4g}/{pair['measured']:.4g} ({pair['error']:+.0%})"


def _bars(bench: Bench, rows: Sequence[Row]) -> None:
    for key in JUDGED:
        errors = [(abs(row[key]["error"]), row["kind"]) for row in rows]
        bench.bar(f"1. {key}: median error <= 10%", rows, lambda _, e=errors: _middle(e), least=6)
        bench.bar(f"1. {key}: worst error <= 25%", rows, lambda _, e=errors: _worst(e), least=6)


def _middle(errors: Sequence[tuple[float, str]]) -> tuple[bool, str]:
    found = median(error for error, _ in errors)
    return found <= 0.10, f"{found:.1%} of {len(errors)} bundles"


def _worst(errors: Sequence[tuple[float, str]]) -> tuple[bool, str]:
    error, name = max(errors)
    return error <= 0.25, f"{error:.1%} ({name})"


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the medians over rounds, and how far the prediction is off, as a share of what was measured."""
    found = {}
    for key in (*JUDGED, "p95_80"):
        predicted, real = (median(row[key][side] for row in rows) for side in ("predicted", "measured"))
        found[key] = {"predicted": predicted, "measured": real, "error": predicted / real - 1}
    return found


def measured(name: str) -> dict[str, Any]:
    """Return predictions of one round, and what came of them."""
    bundle, idle = bundles_of(name)
    paces = [pace()]
    file = rows_of(name)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    calibration = calibrate(bundle, idle, rows, before=("taskset", "-c", str(SERVER_CORE)))
    if (late := late_ms(calibration.overhead)) > NOISY_MS:
        raise ValueError(
            f"5% of requests to a server that does nothing waited over {late:.0f} ms: measure when it is quiet"
        )
    replica = calibration.replica
    paces.append(pace())
    target = TARGET_TIMES * replica.latency(0.0)[1]
    with serving(bundle, before=("taskset", "-c", str(SERVER_CORE))) as server:
        messages = what_to_send(server.target, protocol=Protocol.PREDICT, model="", rows=file, batch=1, seed=0)
        way = Way(target=server.target, messages=messages, pid=server.pid)
        rate = replica.capacity(target)
        figures = {f"p95_{share:.0%}".rstrip("%"): _p95(calibration, way, server, share * rate) for share in SHARES}
        most = _maximum(way, target, rate)
    paces.append(pace())
    figures["rate"] = {"predicted": rate, "measured": most}
    figures["million"] = {side: _million(figures["rate"][side]) for side in ("predicted", "measured")}
    return {
        **figures,
        "target_ms": target,
        "pace_ms": paces,
        "calibration": calibration.to_json(),
        "limit_rps": replica.limit_rps,
    }


def pace() -> float:
    """Return the processor's ms for a fixed loop: what it varies by, nothing that is predicted here can be nearer."""
    found = []
    for _ in range(9):
        began = time.process_time()
        sum(number * number for number in range(100_000))
        found.append(1000 * (time.process_time() - began))
    return median(found)


def _p95(calibration: Calibration, way: Way, server: Server, rate: float) -> dict[str, Any]:
    replica = calibration.replica
    before = server.batches()
    result, others = _alone(way, _plan(rate, seed=int(rate)))
    after = server.batches()
    assert result.server_cpu is not None
    return {
        "predicted": replica.latency(rate)[1],
        "measured": result.latency["p95"].value,
        "predicted_p50": replica.latency(rate)[0],
        "measured_p50": result.latency["p50"].value,
        **{name: _textbook(calibration, rate, model) for name, model in TEXTBOOK.items()},
        "rps": rate,
        "late_ms": result.late,
        "cpu_ms": result.server_cpu.value,
        "batch": (after[0] - before[0]) / max(1.0, after[1] - before[1]),
        "failed": result.failed,
        "others": others,
    }


def _textbook(calibration: Calibration, rate: float, model: Callable[[float, float, int], Wait]) -> float | None:
    """Return the p95 that a queue of one row at a time foresees, ms; ``None`` where its line only grows."""
    busy = calibration.replica.busy_ms
    found = busy + 1000 * model(rate, busy / 1000, 1).quantile(0.95) + calibration.overhead.delays(np.array([0.5]))[0]
    return found if math.isfinite(found) else None


def _alone(way: Way, plan: Plan) -> tuple[Result, float]:
    """Return a test during which the server had its core, and the share of it that others took.

    Raises
    ------
    ValueError
        If others keep it busy.
    """
    others = 0.0
    for _ in range(TRIES):
        before, own = busy_seconds(SERVER_CORE), cpu_of(way.pid)
        began = time.monotonic()
        result = at_rate(way, plan)
        own = cpu_of(way.pid) - own
        others = max(0.0, busy_seconds(SERVER_CORE) - before - own) / (time.monotonic() - began)
        if others <= OTHERS:
            return result, others
    raise ValueError(f"others took {others:.0%} of the server's core; measure when nothing else runs")


def _plan(rate: float, seed: int) -> Plan:
    seconds = min(MOST_SECONDS, max(LEAST_SECONDS, LEAST_REQUESTS / rate))
    return Plan(rate=rate, seconds=seconds, warm_up=0.4, seed=seed)


def _maximum(way: Way, target: float, start: float) -> float:
    """Return the highest rate within the target; where the search begins says nothing of where it ends.

    A rate that is not kept is tried once more: a stall of the machine fails a test that the server would keep, while
    thousands of requests are not answered in time by chance.
    """
    seeds = itertools.count(1000)

    def kept(rate: float) -> bool:
        for _ in range(2):
            result, _ = _alone(way, _plan(rate, seed=next(seeds)))
            time.sleep(0.2)
            if result.latency["p95"].value <= target:
                return True
        return False

    return find_maximum(kept, start=0.7 * start, within=1.08).rate.value


def busy_seconds(core: int) -> float:
    """Return how long a core has worked for anybody since the start of the system, time stolen from it included."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _million(rate: float) -> float:
    """Return the price of a million predictions at a rate, for one core that is paid for around the clock."""
    price = Prices.load().core_hour.amount.amount
    return float(price) / 3600 / rate * 1e6 if rate else float("inf")


if __name__ == "__main__":
    main()
