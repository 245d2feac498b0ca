"""Commands that list what there is: learners, levers, prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, app, console, print_json, the_api, views


@app.command(short_help="List what can be trained.")
def learners(as_json: Json = False) -> None:
    """List what can be trained."""
    _list("learners", as_json=as_json)


@app.command(short_help="List what makes models better or cheaper.")
def levers(as_json: Json = False) -> None:
    """List what can make a model better or cheaper, with the paper of each."""
    _list("levers", as_json=as_json)


@app.command(short_help="List the prices in force, with their source.")
def prices(
    file: Annotated[Path | None, typer.Option("--prices", help="File of own prices.")] = None, as_json: Json = False
) -> None:
    """List the prices in force, with source and date."""
    rows = the_api().price_rows(file)
    if as_json:
        print_json(rows)
    else:
        views().show_rows(rows, console())


def _list(kind: str, *, as_json: bool) -> None:
    rows = the_api().registered(kind)
    if as_json:
        print_json(rows)
    else:
        views().show_rows(rows, console())
