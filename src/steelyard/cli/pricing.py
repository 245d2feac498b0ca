"""Commands about money: the prices in force with their age, and the ledger of a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.words import Json, RunPath, app, console, print_json, the_api, views


class By(StrEnum):
    """What a ledger is cut by."""

    LEVER = "lever"
    KIND = "kind"
    TRIAL = "trial"


@app.command(short_help="List the prices in force, with their source and age.")
def prices(  # noqa: PLR0917 - options by name, all of them
    file: Annotated[Path | None, typer.Option("--prices", help="File of own prices.")] = None,
    machines: Annotated[bool, typer.Option("--machines", help="Cloud machines, on demand and spot.")] = False,
    functions: Annotated[bool, typer.Option("--functions", help="Pay-per-use functions.")] = False,
    electricity: Annotated[bool, typer.Option("--electricity", help="Electricity by country.")] = False,
    carbon: Annotated[bool, typer.Option("--carbon", help="Carbon intensity by country.")] = False,
    labels: Annotated[bool, typer.Option("--labels", help="Labels by task.")] = False,
    people: Annotated[bool, typer.Option("--people", help="Hours by role.")] = False,
    storage: Annotated[bool, typer.Option("--storage", help="Storage.")] = False,
    egress: Annotated[bool, typer.Option("--egress", help="Data sent out of a cloud.")] = False,
    as_json: Json = False,
) -> None:
    """List the prices in force with source, date and age; or a part of the catalogue, own rows over it."""
    asked = {
        "machines": machines,
        "functions": functions,
        "electricity": electricity,
        "carbon": carbon,
        "labels": labels,
        "people": people,
        "storage": storage,
        "egress": egress,
    }
    named = [part for part, wanted in asked.items() if wanted]
    if len(named) > 1:
        raise typer.BadParameter(f"one list at a time; --{' and --'.join(named)} were asked for", param_hint="PRICES")
    found = the_api().price_list(file, named[0] if named else "")
    if as_json:
        print_json(found)
        return
    out = console()
    views().show_prices(found, out)


@app.command(short_help="What a run cost, by lever, kind or trial.")
def ledger(
    run: RunPath,
    by: Annotated[By, typer.Option(help="Cut by lever, by kind or by trial.")] = By.KIND,
    csv: Annotated[Path | None, typer.Option(help="Write every line to this CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write every line to this Parquet file.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a run cost and returned; the parts sum to the total, as shown and exactly."""
    found: dict[str, Any] = the_api().ledger_of(run, by.value, csv=csv, parquet=parquet)
    if as_json:
        print_json(found)
        return
    views().show_ledger(found, console())
