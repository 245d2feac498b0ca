"""What a fusion at load that bundles are opened without would cost: ``python benchmarks/shrink/fusions.py``.

ONNX Runtime fuses operators as it opens a graph; :data:`steelyard.bundle.running.SLOWER` names what it is told to leave
as it is. Here a frozen encoder (MiniLM on banking77, the one of ``graphs.py``) is opened both ways, in float32 and in 8
bits, and answers rows one by one and in batches of 32, the sessions called in turn. A second session with every fusion
stands beside the first: what their ratio differs from one is noise. Figures are CPU time on one thread.

``CALLS=200`` times as many rows; a second call goes on. Data: ``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import graphs

from rows import Bench

WIDTHS = ("float32", "int8")


def measure(width: str) -> Mapping[str, Any]:
    """Time one encoder with and without the fusions that are switched off."""
    from steelyard.bundle import running
    from steelyard.levers.shrinking._quantise import Quantise
    from steelyard.recipe import Settings
    from steelyard.testing.pupils import Watch

    data = graphs.dataset("banking77")
    artefact, work = graphs.parent("minilm"), graphs.work_of(data)
    if width == "int8":
        train = data.rows.take(data.partition.development)
        artefact = Quantise().apply(artefact, train, Settings(), work, Watch())
    ours = running.GraphModel(artefact, data.task, data.schema, threads=1)
    with mock.patch.object(running, "SLOWER", []):
        whole, again = (running.GraphModel(artefact, data.task, data.schema, threads=1) for _ in range(2))
    test = data.rows.take(graphs.spaced(data.partition.test))
    stages = {"parent": whole, "before": again, "made": ours}
    return {
        "one": graphs.in_turn({k: graphs.one_row(m, test) for k, m in stages.items()}, calls=graphs.CALLS),
        "batch": graphs.in_turn(
            {k: graphs.batches(m, test) for k, m in stages.items()}, calls=max(5, graphs.CALLS // 12)
        ),
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    """Measure what is missing, print a line a width, and hold the 8 bits against the reason for leaving fusions out."""
    bench = Bench("shrink-fusions", packages=("numpy", "onnxruntime"))
    for width in WIDTHS if graphs.DATA.is_dir() else ():
        bench.measure({"width": width}, lambda w=width: measure(w))
    for width in WIDTHS:
        for row in bench.rows(width=width):
            for rows, found in (("one row", row["one"]), ("32 rows", row["batch"])):
                gain, noise = found["over_parent"], found["parent"] / found["before"]
                print(
                    f"{width:8} {rows}: {found['parent']:.2f} ms with every fusion, {found['made']:.2f} without, "
                    f"{gain['value']:.2f} times as fast ({gain['low']:.2f} to {gain['high']:.2f}); noise {noise:.2f}"
                )
    eight = bench.rows(width="int8")
    bench.bar("an encoder in 8 bits answers faster without", eight, lambda r: _faster(r[-1]["one"]["over_parent"]))
    bench.finish()


def _faster(gain: Mapping[str, float]) -> tuple[bool, str]:
    return gain["low"] > 1.0, f"{gain['value']:.2f} times ({gain['low']:.2f} to {gain['high']:.2f})"


if __name__ == "__main__":
    main()
