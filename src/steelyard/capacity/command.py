"""What ``steelyard capacity`` does with its options."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from steelyard.calibrate import calibrate
from steelyard.data import read_plain
from steelyard.errors import RowsRefused, RunUnreadable, SpecInvalid
from steelyard.load.bodies import rows_of
from steelyard.money.calibration import FILE, Calibration
from steelyard.money.capacity import Scaling
from steelyard.money.placement import Edge
from steelyard.recipe import BASELINES, Train, digest
from steelyard.report.capacity import Wanted, capacity, nights
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.plain_rows import sample_rows
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.search.store import Store
from steelyard.spec import Traffic
from steelyard.units import Money

_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command; ``None`` is unset."""

    run: Path
    traffic: Path | None = None
    rps: float | None = None
    peak_rps: float | None = None
    latency_p95_ms: float | None = None
    nightly: int | None = None
    least: int = 1
    start_seconds: float = 60.0
    devices: int = 0
    device_price: str = ""
    measure: bool = False
    rows: Path | None = None

    def __post_init__(self) -> None:
        if self.traffic is not None and (self.rps is not None or self.peak_rps is not None):
            raise SpecInvalid("--traffic says how many requests come; leave --rps and --peak-rps out")
        if self.peak_rps is not None and self.rps is None:
            raise SpecInvalid("--peak-rps needs the mean beside it: --rps")
        if self.latency_p95_ms is not None and not (math.isfinite(self.latency_p95_ms) and self.latency_p95_ms > 0):
            raise SpecInvalid(f"--latency-p95-ms must be a number of ms above 0; got {self.latency_p95_ms:g}")
        if self.devices < 0 or bool(self.devices) != bool(self.device_price):
            raise SpecInvalid("--devices N and --device-price '0.5 USD' go together, for models on the users' devices")
        if self.rows is not None and not self.measure:
            raise SpecInvalid("--rows are what --measure sends; give both, or neither")

    @property
    def wanted(self) -> Wanted:
        """What differs from the spec.

        Raises
        ------
        SpecInvalid
            If the traffic cannot be read, or a number is out of its range.
        """
        traffic = None
        if self.traffic is not None:
            traffic = Traffic(file=self.traffic)  # type: ignore[call-arg] # the mean is what the file holds
        elif self.rps is not None:
            traffic = Traffic(mean_rps=self.rps, peak_rps=self.peak_rps)
        try:
            scaling = Scaling(start_seconds=self.start_seconds, least=self.least)
            price = Money.parse(self.device_price) if self.device_price else None
        except ValueError as problem:
            raise SpecInvalid(str(problem)) from None
        if price is not None and price.amount < 0:
            raise SpecInvalid(f"--device-price must be 0 or more; got {self.device_price}")
        edge = None if price is None else Edge(devices=self.devices, price=price)
        return Wanted(traffic=traffic, target_ms=self.latency_p95_ms, scaling=scaling, edge=edge)


def answer(asked: Asked) -> dict[str, Any]:
    """Return the block ``capacity`` of the report, or what a nightly run costs.

    Raises
    ------
    SpecInvalid
        If no traffic is known, or an option is out of its range.
    RunUnreadable
        If there is no run, or it has not come to a bundle.
    """
    wanted = asked.wanted
    record = recount(RunFolder.existing(asked.run))
    if record.decision is None:
        raise RunUnreadable(
            f"{asked.run} has not come to a bundle yet; go on with `steelyard run --resume {asked.run}`"
        )
    if asked.measure:
        measure(record, asked.rows)
    if asked.nightly is not None:
        return nights(record, asked.nightly, wanted)
    found = capacity(record, wanted)
    if found is None:
        raise SpecInvalid(f"{asked.run} says nothing of traffic above 0; give --rps, --traffic FILE or --nightly ROWS")
    return found


def measure(record: RunRecord, rows: Path | None = None) -> Calibration:
    """Measure a run's bundle and the server around it here, and keep that in the run's folder.

    Parameters
    ----------
    record
        The run.
    rows
        File of rows as a client sends them; by default rows of the run's own data.

    Raises
    ------
    RunUnreadable
        If the run has no bundle, or no constant model, with which HTTP is measured.
    RowsRefused
        If its rows cannot be sent, or do not fit.
    """
    ships = None if record.final is None else record.final.bundle
    idle = idle_bundle(record)
    if ships is None or idle is None:
        lacks = "a bundle that ships" if ships is None else "a constant model, which its `learners` leave out"
        raise RunUnreadable(
            f"{record.folder} lacks {lacks}, so HTTP cannot be measured; without --measure it is assumed"
        )
    given = _rows_of_run(record) if rows is None else rows_of(read_plain(rows))[:_ROWS]
    made = calibrate(ships, idle, given, threads=record.spec.serving.threads)
    write_atomically(record.folder / FILE, json.dumps(made.to_json(), indent=1) + "\n")
    return made


def idle_bundle(record: RunRecord) -> Path | None:
    """Return the bundle of a run's constant model, which reads what the others read and computes nothing, if any."""
    recipes = (trial.recipe for trial in record.trials if trial.ending.usable)
    idle = (each for each in recipes if isinstance(each, Train) and each.learner in BASELINES and not each.data)
    folders = (record.folder / "bundles" / digest(recipe) for recipe in idle)
    return next((place.parent for folder in folders for place in sorted(folder.glob("*/manifest.json"))), None)


def _rows_of_run(record: RunRecord) -> list[Mapping[str, Any]]:
    dataset = Store(record.folder).dataset()
    scored = dataset.partition.scored
    spread = np.linspace(0, len(scored) - 1, min(_ROWS, len(scored))).astype(np.int64)
    rows = sample_rows(dataset, scored[spread])
    return [{name: _sent(cell) for name, cell in row.items()} for row in rows]


def _sent(cell: Any) -> Any:
    """Return a cell as JSON holds it: nothing for NaN, pictures in base64."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, np.ndarray):
        cell = Image.fromarray(cell)
    if isinstance(cell, Image.Image):
        file = io.BytesIO()
        cell.save(file, "PNG")
        cell = file.getvalue()
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode("ascii")
    if cell is None or isinstance(cell, str | int):
        return cell
    raise RowsRefused(f"a cell of the run's data ({type(cell).__name__}) cannot be sent; give a file with --rows")
