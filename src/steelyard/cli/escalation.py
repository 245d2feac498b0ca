"""Commands about rows that a served bundle passes on: escalate, reviews export."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.serving import bundle_folder
from steelyard.cli.words import AnyBundle, Json, app, print_json

reviews = typer.Typer(no_args_is_help=True, help="Rows that wait for a person, and what persons said of them.")
app.add_typer(reviews, name="reviews", short_help="Labels that persons gave while serving.")


@app.command(short_help="Calibrate which rows go to a dearer server, or a person.")
def escalate(  # noqa: PLR0917 - options by name, all of them
    bundle: AnyBundle,
    rows: Annotated[Path, typer.Argument(help="Labelled rows that it was not trained on.", show_default=False)],
    to: Annotated[str, typer.Option(help="Address of a server, or `person`.", show_default=False)],
    price: Annotated[str, typer.Option(help="Of one escalated row, as '0.02 USD'; a server's is 0 unless given.")] = "",
    tolerance: Annotated[float | None, typer.Option(help="Most to lose against the server; unset: 0.01.")] = None,
    max_error: Annotated[float | None, typer.Option(help="Most errors among what no person sees; unset: 0.05.")] = None,
    confidence: Annotated[float, typer.Option(help="Chance that the promise holds.")] = 0.95,
    metric: Annotated[str, typer.Option(help="What the promise is about; unset: the aim of the bundle.")] = "",
    measure: Annotated[str, typer.Option(help="Of sureness: margin, confidence, worth; regret: by money.")] = "margin",
    model: Annotated[str, typer.Option(help="The server's name of its model.")] = "model",
    version: Annotated[str, typer.Option(help="Its version; unset: the server's choice.")] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable that holds the server's key.")] = "",
    timeout_ms: Annotated[float, typer.Option(help="Longest wait for the server.", min=1)] = 1000.0,
    accuracy: Annotated[float | None, typer.Option(help="How often a person is right (assumed); unset: 1.")] = None,
    reviews_file: Annotated[str, typer.Option("--reviews", help="SQLite file of parked rows; unset: reviews.db.")] = "",
    budget_share: Annotated[float | None, typer.Option(help="Most of all rows to escalate, over a minute.")] = None,
    money_per_hour: Annotated[str, typer.Option(help="Most money for an hour, as '5 USD'.")] = "",
    prices: Annotated[Path | None, typer.Option(help="File of own prices.")] = None,
    threads: Annotated[int, typer.Option(help="Threads that one prediction may use.", min=1)] = 1,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("escalation.yaml"),
    as_json: Json = False,
) -> None:
    """Measure a bundle and a dearer stage on labelled rows; write which rows to pass on, with a promise.

    Serve it with: steelyard serve BUNDLE --escalate escalation.yaml
    """
    escalating = importlib.import_module("steelyard.escalate")
    asked = escalating.Asked(
        to=to,
        price=price,
        tolerance=tolerance,
        max_error=max_error,
        confidence=confidence,
        metric=metric,
        measure=measure,
        model=model,
        version=version,
        key_env=key_env,
        timeout_ms=timeout_ms,
        accuracy=accuracy,
        reviews=reviews_file,
        budget_share=budget_share,
        money_per_hour=money_per_hour,
        prices=prices,
        threads=threads,
    )
    plan = escalating.escalate(bundle_folder(bundle), rows, asked)
    write = importlib.import_module("steelyard.search.folder").write_atomically
    write(out, plan.to_yaml(), way_out="name another file with -o")
    if as_json:
        print_json(plan.model_dump(mode="json", exclude_none=True))
        return
    sys.stdout.write(
        f"{escalating.describe(plan)}\n\nwrote {out}; serve with: steelyard serve BUNDLE --escalate {out}\n"
    )


@reviews.command(short_help="Write what persons decided as rows to train on.")
def export(
    place: Annotated[str, typer.Argument(help="Address of the server, or its SQLite file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write.")] = Path("labels.csv"),
    key: Annotated[str, typer.Option(help="Key to show.", envvar="STEELYARD_KEY", show_default=False)] = "",
) -> None:
    """Write the rows that persons answered: their inputs and the target column; images as files beside."""
    labels = importlib.import_module("steelyard.serve.escalation.labels")
    count = labels.export(labels.answered(place, key=key), out)
    sys.stdout.write(f"wrote {count:,} {'row' if count == 1 else 'rows'} to {out}\n")
