"""The command about the next dollar: advise."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, RunPath, app, print_json


@app.command(short_help="Where the next dollar goes, or that it should not.")
def advise(
    run: RunPath,
    minutes: Annotated[float, typer.Option(help="Most time to measure; 0: only what is known.")] = 1.0,
    prices: Annotated[Path | None, typer.Option(help="File of own prices, a label's for instance.")] = None,
    as_json: Json = False,
) -> None:
    """Say what may be done next for a run, what each should bring and cost, and the one thing to do.

    Learning curves are measured on subsets of the training rows, for at most so many minutes; what comes of it is
    kept as advice.json beside the run.
    """
    advising = importlib.import_module("steelyard.advise")
    advice = advising.advise(run, minutes=minutes, prices=prices)
    if as_json:
        print_json(advice.to_json())
    else:
        sys.stdout.write(advising.describe(advice))
