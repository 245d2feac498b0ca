"""The command about servers: capacity."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, RunPath, app, print_json


@app.command(short_help="How many servers the traffic needs, and what they cost where.")
def capacity(  # noqa: PLR0917 - options by name, all of them
    run: RunPath,
    traffic: Annotated[Path | None, typer.Option(help="CSV with the columns hour and requests.")] = None,
    rps: Annotated[float | None, typer.Option(help="Mean requests a second.", min=0)] = None,
    peak_rps: Annotated[float | None, typer.Option(help="Requests a second in the busiest minute.", min=0)] = None,
    latency_p95_ms: Annotated[float | None, typer.Option(help="95% answered within, ms; unset: of the spec.")] = None,
    nightly: Annotated[int | None, typer.Option(help="Price a nightly run of so many rows instead.")] = None,
    least: Annotated[int, typer.Option("--min-replicas", help="Replicas that always run.", min=1)] = 1,
    start_seconds: Annotated[float, typer.Option(help="Until a new replica answers.", min=0, max=3600)] = 60.0,
    devices: Annotated[int, typer.Option(help="Devices of users that could run it.", min=0)] = 0,
    device_price: Annotated[str, typer.Option(help="Of one device a month, as '0.50 USD'.")] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure batches and HTTP here first (15 s; nothing else should run).")
    ] = False,
    rows: Annotated[Path | None, typer.Option(help="Rows to measure with; unset: of the run's data.")] = None,
    as_json: Json = False,
) -> None:
    """Tell how many replicas the traffic needs hour by hour, and what they cost on each kind of machine.

    Traffic and latency target are those of the spec unless they are given here.
    """
    package = importlib.import_module("steelyard.capacity")
    asked = package.Asked(
        run=run,
        traffic=traffic,
        rps=rps,
        peak_rps=peak_rps,
        latency_p95_ms=latency_p95_ms,
        nightly=nightly,
        least=least,
        start_seconds=start_seconds,
        devices=devices,
        device_price=device_price,
        measure=measure,
        rows=rows,
    )
    found = package.answer(asked)
    if as_json:
        print_json(found)
        return
    describe = package.describe if nightly is None else package.describe_nights
    sys.stdout.write(describe(found) + "\n")
