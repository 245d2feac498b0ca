"""The command that writes a run, or the bundle it ships, in the forms of other tools: export."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, app, print_json


@app.command(short_help="Write a run or a bundle for other tools.")
def export(  # noqa: PLR0917 - options by name, all but the run
    run: Annotated[Path, typer.Argument(help="A run, or for browser, ort, onnx and c a bundle.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            help="csv, parquet, openmetrics, tensorboard, mlmodel, mlflow, browser, ort, onnx or c.", show_default=False
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File or folder; unset: standard output.")] = None,
    tracking_uri: Annotated[str, typer.Option(help="Of MLflow; unset: as it is set itself.", show_default=False)] = "",
    experiment: Annotated[str, typer.Option(help="Of MLflow; unset: steelyard.", show_default=False)] = "",
    rows: Annotated[
        Path | None, typer.Option(help="For c: rows to hold rounding against; unset: the run's.", show_default=False)
    ] = None,
    web: Annotated[
        Path | None, typer.Option(help="For browser: a folder that holds onnxruntime-web.", show_default=False)
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="For browser: let npm fetch onnxruntime-web.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run, or its bundle, in the form of another tool. The run is read, finished or not, and never changed."""
    exporting = importlib.import_module("steelyard.export")
    given = exporting.Given(
        out=out, tracking_uri=tracking_uri, experiment=experiment, rows=rows, web=web, download=download
    )
    written = exporting.export(run, to, given)
    if as_json:
        print_json({"to": to, "place": written.place, "text": written.text, "said": list(written.said)})
    elif written.text and out is None:
        sys.stdout.write(written.text)
    else:
        sys.stdout.write("\n".join([f"written to {written.place}", *written.said]) + "\n")
