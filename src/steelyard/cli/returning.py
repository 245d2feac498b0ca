"""Commands about what a model returns, and about models that were made elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import Json, RunPath, app, console, print_json, the_api, views


@app.command(short_help="What the chosen model returns, in money.")
def returns(run: RunPath, as_json: Json = False) -> None:
    """Say what the chosen model returns: net present value, payback, break-even, and what they rest on."""
    block = the_api().open_run(run).returns()
    if as_json:
        print_json(block)
    else:
        views().show_returns(block, console())


@app.command("import", short_help="Make a bundle of a model made elsewhere.")
def bring(
    model: Annotated[Path, typer.Argument(help="An .onnx, .joblib, .pkl or .skops file.", show_default=False)],
    *,
    rows: Annotated[Path, typer.Option(help="Labelled rows to read kinds from and to compare on.", show_default=False)],
    target: Annotated[str, typer.Option(help="Column that it predicts.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle, a new one.", show_default=False)],
    columns: Annotated[str, typer.Option(help="Columns that it reads, in its order: a,b,c.")] = "",
    classes: Annotated[str, typer.Option(help="Classes in the order of its probabilities (ONNX): no,yes.")] = "",
    trust: Annotated[bool, typer.Option("--trust", help="Load the pickle, which runs the code in it.")] = False,
    as_json: Json = False,
) -> None:
    """Make a bundle of an ONNX file or a scikit-learn pipeline, refused unless it answers as before (to 1e-4)."""
    made = the_api().bring(model, rows, target, out, columns=_listed(columns), classes=_listed(classes), trust=trust)
    if as_json:
        print_json(made)
        return
    sys.stdout.write(
        f"wrote {made['bundle']}: it reads {', '.join(made['reads'])}, and differs from {model.name} by at most "
        f"{made['worst']:.1g} ({made['unit']}) on {made['rows']:,} rows\n"
    )


def _listed(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())
