"""Commands about runs and bundles: run, demo, init, check, show, report, predict, evaluate."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.words import (
    AnyBundle,
    Json,
    RunPath,
    SpecPath,
    app,
    console,
    let_go_of_output,
    print_json,
    start_ahead,
    the_api,
    views,
)
from steelyard.errors import Exit


@app.command(short_help="Try what a spec allows, decide, ship.")
def run(
    spec: Annotated[Path | None, typer.Argument(help="The YAML file that says what is wanted.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; unset: runs/<name>-<stamp>.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Try what a spec allows, decide, and leave report and bundle in a run folder.

    Exit code 0: the decision meets every target. 20: no candidate does; the best one is shipped all the same.
    """
    if spec is None and resume is None:
        raise typer.BadParameter("give a spec, or --resume FOLDER", param_hint="SPEC")
    start_ahead()
    api = the_api()

    def work(watcher: Any, started: float) -> Any:
        if spec is None:
            return api.resume(resume, watcher=watcher, started=started)
        return api.run(spec, out=out, resume=resume, watcher=watcher, started=started)

    _run(work, as_json=as_json)


@app.command(short_help="A diagnosis, start to end, in under a minute.")
def demo(
    out: Annotated[Path | None, typer.Option(help="Folder of the run; unset: runs/demo-<stamp>.")] = None,
    as_json: Json = False,
) -> None:
    """Diagnose breast cancer from scikit-learn's own data: the whole story in under a minute."""
    start_ahead()
    api = the_api()
    spec = importlib.import_module("steelyard.demo").SPEC
    _run(lambda watcher, started: api.run(spec, out=out, watcher=watcher, started=started), as_json=as_json)


def _run(work: Callable[[Any, float], Any], *, as_json: bool) -> None:
    """Run with a live view on standard error, then print the tables or the JSON on standard output."""
    live = importlib.import_module("steelyard.report.live")
    with live.LiveView(console(err=True)) as watcher:
        finished = work(watcher, _began())
    code = int(the_api().exit_code(finished))
    try:
        if as_json:
            print_json(finished.report)
        else:
            views().show(finished.report, console())
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # Rich ends the process where nobody reads; the run has ended all the same
        let_go_of_output()
    raise typer.Exit(code)


@app.command(short_help="Draft a spec from the data; it runs unedited.")
def init(
    data: Annotated[str, typer.Argument(help="File, folder, zip, or sklearn:NAME.", show_default=False)],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    lang: Annotated[str, typer.Option(help="Language of the comments: en or zh.")] = "en",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; unset: standard output.")] = None,
) -> None:
    """Draft a spec from the data, every line explained; it runs unedited."""
    text = importlib.import_module("steelyard.draft").draft(data, target, lang=lang)
    if out is None:
        sys.stdout.write(text)
        return
    importlib.import_module("steelyard.search.folder").write_atomically(out, text, way_out="name another file with -o")
    sys.stdout.write(f"wrote {out}; run it with: steelyard run {out}\n")


@app.command(short_help="Look at the data; train nothing.")
def check(spec: SpecPath, as_json: Json = False) -> None:
    """Read and check the data of a spec without training anything: types, missing cells, leaks, splits."""
    found = the_api().check(spec)
    if as_json:
        print_json(views().inspection_json(found))
    else:
        views().show_inspection(found, console())
    if found.dataset is None:
        raise typer.Exit(int(Exit.DATA_UNFIT))


@app.command(short_help="Print the tables of a run again.")
def show(run: RunPath, as_json: Json = False) -> None:
    """Print the tables of a run again, finished or not."""
    report = the_api().open_run(run).report
    if as_json:
        print_json(report)
    else:
        views().show(report, console())


@app.command(short_help="Write the page and the card of a run anew.")
def report(run: RunPath) -> None:
    """Write report.html, report.json and card.md of a run anew and print where they are."""
    opened = the_api().open_run(run)
    opened.write_views()
    sys.stdout.write(f"{opened.folder / 'report.html'}\n")


@app.command(short_help="Predict rows with a bundle.")
def predict(
    bundle: AnyBundle,
    rows: Annotated[Path, typer.Argument(help="CSV, JSON Lines, Parquet or CoNLL.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; unset: standard output.")] = None,
) -> None:
    """Predict rows: `prediction` and one `probability_<class>` a class, in the order of the rows.

    Where tokens are tagged `prediction` and `probability` are lists, beside the `entities`; a file named .conll holds
    each token with its tag. Of a table of readings there is a prediction a window or unit, beside its unit and time.
    """
    api = the_api()
    predictions = api.predict(bundle, rows)
    if predictions.ignored:
        shown = ", ".join(map(repr, predictions.ignored))
        sys.stderr.write(f"steelyard: ignored columns that the bundle does not know: {shown}\n")
    if out is None:
        sys.stdout.write(predictions.text(".csv"))
    else:
        predictions.write(out)


@app.command(short_help="Measure a bundle on labelled rows.")
def evaluate(
    bundle: AnyBundle,
    rows: Annotated[Path, typer.Argument(help="Labelled rows: CSV, JSON Lines, Parquet, CoNLL.", show_default=False)],
    prices: Annotated[Path | None, typer.Option(help="File of own prices.")] = None,
    threads: Annotated[int, typer.Option(help="Threads that one prediction may use.", min=1)] = 1,
    *,
    stress: Annotated[
        str | None, typer.Option(help="Also the quality on the same rows harmed in this way: typos.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a bundle on labelled rows: quality with intervals, latency, cost."""
    figures = the_api().evaluate(bundle, rows, prices=prices, threads=threads, stress=stress)
    if as_json:
        print_json(figures)
    else:
        views().show_evaluation(figures, console())


def _began() -> float:
    """Return when this process was started, on the monotonic clock: a budget counts the whole command."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / 100
    except (OSError, ValueError, IndexError, AttributeError):
        age = 0.0
    return time.monotonic() - max(0.0, age)
