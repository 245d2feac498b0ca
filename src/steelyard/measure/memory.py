"""Memory that a bundle takes: a fresh process loads and runs it, and tells how much it grew."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.units import Estimate

SAMPLE = 32
"""Rows that the process answers, one by one and then together."""


def growth_of_a_process(
    folder: Path, rows: Sequence[Mapping[str, Any]], threads: int, *, timeout: float
) -> Estimate | None:
    """Return by how many bytes a fresh process grows at its peak by loading and running a bundle.

    What the interpreter and ONNX Runtime take by themselves is not counted. ``None`` where the process did not
    end well within ``timeout`` seconds; the caller then says which other figure it gives.
    """
    command = [sys.executable, "-m", "steelyard.measure._memory", str(folder), str(threads)]
    try:
        # The rows go through a pipe of our own: they may hold bytes or arrays, which JSON has no word for.
        ended = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, input=pickle.dumps(list(rows[:SAMPLE])), capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if ended.returncode:
        return None
    source = f"peak growth of a fresh process over {min(len(rows), SAMPLE)} rows, one by one and together"
    return Estimate.exact(float(ended.stdout), unit="bytes", source=source)
