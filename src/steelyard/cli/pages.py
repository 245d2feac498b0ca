"""Commands that look at several runs: compare, ui."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, app, console, print_json, the_api, views


@app.command(short_help="Put runs side by side.")
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two runs or more.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Put runs side by side: decision, quality, latency, cost; paired where they scored the same rows."""
    found = the_api().compare(runs)
    if as_json:
        print_json(found)
    else:
        views().show_compared(found, console())


@app.command(short_help="Browse a folder of runs on this machine.")
def ui(
    folder: Annotated[Path, typer.Argument(help="Folder that holds runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8790,
) -> None:
    """Browse a folder of runs in a browser of this machine, until Ctrl-C. Reads only, and disturbs no run."""

    def began(address: str) -> None:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()

    importlib.import_module("steelyard.browse").serve_runs(folder, port, began)
