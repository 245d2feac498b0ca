"""How long two bundles take for a row, call by call in turn, with one thread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CALLS = 400


def timed(first: Any, own: Any, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    """Return median times of one row in ms, of parent and descendant in turn.

    ``faster`` is the ratio of the medians of processor time, which what else the machine does hardly changes.
    """
    found: dict[str, list[float]] = {"parent": [], "own": [], "parent_cpu": [], "own_cpu": []}
    for call in range(CALLS):
        row = rows[call % len(rows)]
        for name, bundle in (("parent", first), ("own", own)):
            wall, cpu = time.perf_counter(), time.process_time()
            bundle.answer_row(row)
            found[f"{name}_cpu"].append(1000 * (time.process_time() - cpu))
            found[name].append(1000 * (time.perf_counter() - wall))
    middle = {name: float(np.median(values[CALLS // 10 :])) for name, values in found.items()}
    return {
        "p50_ms": middle["own"],
        "parent_p50_ms": middle["parent"],
        "faster": middle["parent_cpu"] / middle["own_cpu"],
    }
