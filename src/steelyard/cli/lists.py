"""Commands that list what there is: learners, levers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, app, console, print_json, the_api, views


@app.command(short_help="List what can be trained.")
def learners(as_json: Json = False) -> None:
    """List what can be trained."""
    _list("learners", as_json=as_json)


@app.command(short_help="List what makes models better or cheaper, or what each earned.")
def levers(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run; with --paid.", show_default=False)] = None,
    paid: Annotated[bool, typer.Option("--paid", help="What each lever of the run cost and earned.")] = False,
    as_json: Json = False,
) -> None:
    """List what can make a model better or cheaper, with the paper of each; with RUN --paid, what each earned."""
    if (run is None) is paid:
        raise typer.BadParameter("give a run and --paid together: steelyard levers RUN --paid", param_hint="RUN")
    if run is None:
        _list("levers", as_json=as_json)
        return
    told = the_api().paid(run)
    if as_json:
        print_json(told)
    else:
        importlib.import_module("steelyard.report.paid").show_paid(told, console())


def _list(kind: str, *, as_json: bool) -> None:
    rows = the_api().registered(kind)
    if as_json:
        print_json(rows)
    else:
        views().show_rows(rows, console())
