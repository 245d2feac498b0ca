"""Single rows, timed: from one Python dict to the answer, the model loaded and warm.

This file runs inside each tool's environment and needs the standard library alone.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WARM_CALLS, WARM_SECONDS = 20, 2.0
MOST_CALLS, LEAST_CALLS, SECONDS = 1_000, 20, 3.0
"""Calls go on for :data:`SECONDS`, but at least and at most these many are made."""


def time_rows(call: Callable[[Mapping[str, Any]], object], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return p50 and p95 in ms over calls with the rows in turn, and how many calls that were.

    What is there before is put out of the garbage collector's sight; what the calls leave behind is collected while
    they are timed, as it is in a service.
    """
    began, made = time.perf_counter(), 0
    while made < WARM_CALLS and (made < 3 or time.perf_counter() - began < WARM_SECONDS):
        call(rows[made % len(rows)])
        made += 1
    gc.collect()
    gc.freeze()
    times: list[int] = []
    began = time.perf_counter()
    while len(times) < MOST_CALLS and (len(times) < LEAST_CALLS or time.perf_counter() - began < SECONDS):
        row = rows[len(times) % len(rows)]
        start = time.perf_counter_ns()
        call(row)
        times.append(time.perf_counter_ns() - start)
    gc.unfreeze()
    ordered = sorted(times)
    return {"p50": _at(ordered, 0.50), "p95": _at(ordered, 0.95), "calls": len(ordered)}


def _at(ordered: Sequence[int], share: float) -> float:
    """Return a percentile (nearest rank) of times in ns, in ms."""
    return ordered[max(1, math.ceil(len(ordered) * share - 1e-9)) - 1] / 1e6
