"""What a server of a bundle takes, measured before anybody puts load on it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from steelyard.calibrate.around import measure_around
from steelyard.calibrate.curve import measure_curve
from steelyard.calibrate.server import serving
from steelyard.load import Protocol, what_to_send
from steelyard.money.calibration import Calibration


def calibrate(
    bundle: Path,
    idle: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    threads: int = 1,
    before: Sequence[str] = (),
) -> Calibration:
    """Measure a bundle's batches and the server around it, in about 25 s; nothing else should run meanwhile.

    The bundle itself gets no load: HTTP is measured with ``idle``, a bundle that reads the same columns and computes
    nothing.

    Parameters
    ----------
    bundle, idle
        Their folders.
    rows
        As a client sends them: plain values by column, images in base64.
    threads
        Of one inference.
    before
        What to put in front of the command that serves, such as ``("taskset", "-c", "0")``.

    Raises
    ------
    RequestInvalid
        If there are no rows.
    BundleRefused, RowsRefused, ServingRefused
        If a bundle cannot be loaded or served, or does not take the rows.
    """
    measured = measure_curve(bundle, rows, threads=threads)
    nothing = measure_curve(idle, rows, threads=threads)
    with TemporaryDirectory() as folder, serving(idle, "--threads", str(threads), before=before) as server:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        messages = what_to_send(server.target, protocol=Protocol.PREDICT, model="", rows=file, batch=1, seed=0)
        overhead = measure_around(server, messages, nothing, measured)
    return Calibration(
        curve=measured.curve,
        spread=measured.spread,
        batch=measured.batch,
        overhead=overhead,
        threads=threads,
        machine=f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
    )
