"""Commands about what a server observed: log, labels, alerts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.words import Json, app, print_json

Store = Annotated[
    str, typer.Argument(help="The log: a file, or postgresql://...", envvar="STEELYARD_LOG", show_default=False)
]


@app.command(short_help="Read out the log of predictions, with their labels.")
def log(  # noqa: PLR0917 - options by name, all of them
    store: Store,
    since: Annotated[str, typer.Option(help="From this time on, as 2026-11-22T10:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Before this time.")] = "",
    model: Annotated[str, typer.Option(help="Only of this model.")] = "",
    version: Annotated[str, typer.Option(help="Only of this version.")] = "",
    labelled: Annotated[
        bool | None, typer.Option("--labelled/--unlabelled", help="Only with a label, or only without.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File: .csv or .jsonl; unset: the screen.")] = None,
) -> None:
    """Read out what `steelyard serve --log` wrote, oldest first, each with the label that came last."""
    predictions, files = _the("steelyard.predictions"), _the("steelyard.predictions.files")
    query = predictions.Query(
        since=predictions.moment(since) if since else None,
        until=predictions.moment(until) if until else None,
        model=model,
        version=version,
        labelled=labelled,
    )
    opened = predictions.open_store(predictions.parse_address(store), create=False)
    count = files.write_log(opened.read(query), out)
    opened.close()
    if out is not None:
        sys.stdout.write(f"wrote {count:,} predictions to {out}\n")


@app.command(short_help="Give labels to the log of predictions.")
def labels(
    where: Annotated[str, typer.Argument(help="A server (http://...), or the log itself.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="CSV or JSON Lines: id, label and maybe at.", show_default=False)],
    key: Annotated[str, typer.Option(help="Key to show.", envvar="STEELYARD_KEY", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """Tell what predicted rows really were. Of one row the last label counts; earlier ones are kept."""
    found = _the("steelyard.predictions.files").read_labels(file)
    told = dict(_the("steelyard.predictions.sending").send(where, found, key=key))
    if as_json:
        print_json(told)
        return
    sys.stdout.write(
        f"{told['joined']:,} labels belong to a logged prediction, {told['waiting']:,} wait for one, "
        f"{told['not_logged']:,} belong to none that was to be logged\n"
    )


@app.command(short_help="Print alert rules for Prometheus.")
def alerts(  # noqa: PLR0917 - options by name, all of them
    p95_ms: Annotated[float, typer.Option(help="Target of the 95th percentile of latency.")] = 250.0,
    errors: Annotated[float, typer.Option(help="Share of requests that may fail.")] = 0.01,
    queue: Annotated[float, typer.Option(help="Share of the queue that may be full.")] = 0.8,
    disagreement: Annotated[float, typer.Option(help="Share of rows that a shadow may decide otherwise.")] = 0.1,
    cost_per_million: Annotated[float, typer.Option(help="Most that a million predictions may cost.")] = 100.0,
    job: Annotated[str, typer.Option(help="Prometheus' name for what it scrapes.")] = "steelyard",
) -> None:
    """Print alert rules for the metrics of a server: steelyard alerts > alerts.yaml, then name it in rule_files."""
    rules = _the("steelyard.serve.alerts")
    sys.stdout.write(
        rules.written(
            rules.Targets(
                p95_ms=p95_ms,
                errors=errors,
                queue=queue,
                disagreement=disagreement,
                cost_per_million=cost_per_million,
                job=job,
            )
        )
    )


def _the(name: str) -> Any:
    return importlib.import_module(name)
