"""The command that pulls one lever by hand: pull."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from steelyard.cli.words import Json, RunPath, app, console, print_json, the_api


@app.command(short_help="Pull one lever by hand on a finished run.")
def pull(
    lever: Annotated[str, typer.Argument(help="Name of the lever; `steelyard levers` lists them.", show_default=False)],
    run: RunPath,
    on: Annotated[int | None, typer.Option(help="Number of the trial to start from; unset: the chosen one.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of a shrinking lever, as name=value; may be repeated.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Most time that it may take.")] = 10.0,
    *,
    as_json: Json = False,
) -> None:
    """Try one lever on one trial of a finished run, and decide anew.

    Steps of shrinking chain: start from the trial of the step before, its number is in `steelyard show RUN`. A step may
    start from a rejected one too; it is then held against the last of its line that was kept. Where the new model is
    taken, it is refitted and ships, and the test rows are read once more, which the report counts.
    """
    pulling = importlib.import_module("steelyard.search.pulling")
    asked = pulling.Pull(lever=lever, on=on, settings=pulling.parsed(settings or ()), minutes=minutes)
    live = importlib.import_module("steelyard.report.live")
    with live.LiveView(console(err=True)) as watcher:
        told = the_api().pull(run, asked, watcher=watcher)
    if as_json:
        print_json({name: told[name] for name in ("trial", "ladder", "decision")})
    else:
        importlib.import_module("steelyard.report.terminal").show_pull(told, console())
