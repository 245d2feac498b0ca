"""Commands about devices: targets, edge."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, RunPath, app, print_json


@app.command(short_help="List the devices that a spec may name, or measure this one.")
def targets(
    file: Annotated[Path | None, typer.Option("--devices", help="File of own devices.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run the fixed benchmark here and print a row for such a file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List devices with memory, instruction sets and speed, the source and age of each figure; own rows over them."""
    package = importlib.import_module("steelyard.devices.listing")
    if measure and file is not None:
        raise typer.BadParameter("--measure prints a row for such a file; leave --devices out", param_hint="TARGETS")
    found = package.measurement() if measure else package.device_list(file)
    if as_json:
        print_json(found)
        return
    sys.stdout.write("\n".join((package.told if measure else package.lines)(found)) + "\n")


@app.command(short_help="Whether the device, a server or both should answer.")
def edge(  # noqa: PLR0917 - options by name, all of them
    run: RunPath,
    round_trip_ms: Annotated[float | None, typer.Option(help="To the server and back, ms.", min=0)] = None,
    round_trip_p95_ms: Annotated[float | None, typer.Option(help="95% of round trips within, ms.", min=0)] = None,
    rps: Annotated[float | None, typer.Option(help="Mean requests a second.", min=0)] = None,
    latency_p95_ms: Annotated[float | None, typer.Option(help="95% answered within, ms, as the user sees it.")] = None,
    offline: Annotated[float | None, typer.Option(help="Share of requests without a server.", min=0, max=1)] = None,
    as_json: Json = False,
) -> None:
    """Compare the device alone, a server alone, and the device first: latency, quality, cost, and who wins where.

    What is not given here is what the spec says.
    """
    package = importlib.import_module("steelyard.report.edge")
    wanted = package.Wanted(
        round_trip_ms=round_trip_ms,
        round_trip_p95_ms=round_trip_p95_ms,
        rps=rps,
        target_ms=latency_p95_ms,
        offline=offline,
    )
    found = package.asked(run, wanted)
    if as_json:
        print_json(found)
        return
    sys.stdout.write("\n".join(importlib.import_module("steelyard.report.edge_words").lines(found)) + "\n")
