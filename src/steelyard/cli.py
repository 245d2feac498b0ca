"""The command line: parses words, calls one function of :mod:`steelyard.api`, prints, exits with a number."""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.errors import Exit, SteelyardError

app = typer.Typer(
    name="steelyard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading what draws boxes would take half of the 0.4 s that help may take
    help="Weigh every way to build a model: what it costs, what it returns, in your money, with an error bar.",
    epilog="Exit codes are listed in docs/exit-codes.md. Start with: steelyard demo",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
RunPath = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
AnyBundle = Annotated[Path, typer.Argument(help="A bundle, or a run whose bundle is meant.", show_default=False)]
SpecPath = Annotated[Path, typer.Argument(help="The YAML file that says what is wanted.", show_default=False)]


_PARSER_INTERRUPTED, _PARSER_UNHEARD = 130, 1
"""How Typer ends on Ctrl-C, and how it and Rich end where standard output is closed."""
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What a disk says that cannot be written."""


def _api() -> Any:
    """Load what does the work; `--help` answers without it."""
    return importlib.import_module("steelyard.api")


def _start_ahead() -> None:
    """Have a worker load itself on another core while this process does."""
    importlib.import_module("steelyard.search.start").ahead()


def _print_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _views() -> Any:
    return importlib.import_module("steelyard.report")


def _console(*, err: bool = False) -> Any:
    return importlib.import_module("rich.console").Console(stderr=err)


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
    _start_ahead()
    api = _api()

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
    _start_ahead()
    api = _api()
    spec = importlib.import_module("steelyard.demo").SPEC
    _run(lambda watcher, started: api.run(spec, out=out, watcher=watcher, started=started), as_json=as_json)


def _run(work: Callable[[Any, float], Any], *, as_json: bool) -> None:
    """Run with a live view on standard error, then print the tables or the JSON on standard output."""
    live = importlib.import_module("steelyard.report.live")
    with live.LiveView(_console(err=True)) as watcher:
        finished = work(watcher, _began())
    code = int(_api().exit_code(finished))
    try:
        if as_json:
            _print_json(finished.report)
        else:
            _views().show(finished.report, _console())
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # Rich ends the process where nobody reads; the run has ended all the same
        _let_go_of_output()
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
    found = _api().check(spec)
    if as_json:
        _print_json(_views().inspection_json(found))
    else:
        _views().show_inspection(found, _console())
    if found.dataset is None:
        raise typer.Exit(int(Exit.DATA_UNFIT))


@app.command(short_help="Print the tables of a run again.")
def show(run: RunPath, as_json: Json = False) -> None:
    """Print the tables of a run again, finished or not."""
    report = _api().open_run(run).report
    if as_json:
        _print_json(report)
    else:
        _views().show(report, _console())


@app.command(short_help="Write the page and the card of a run anew.")
def report(run: RunPath) -> None:
    """Write report.html, report.json and card.md of a run anew and print where they are."""
    opened = _api().open_run(run)
    opened.write_views()
    sys.stdout.write(f"{opened.folder / 'report.html'}\n")


@app.command(short_help="Predict rows with a bundle.")
def predict(
    bundle: AnyBundle,
    rows: Annotated[Path, typer.Argument(help="CSV, JSON Lines or Parquet.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; unset: standard output.")] = None,
) -> None:
    """Predict rows: `prediction` and one `probability_<class>` a class, in the order of the rows."""
    api = _api()
    predictions = api.predict(bundle, rows)
    if predictions.ignored:
        shown = ", ".join(map(repr, predictions.ignored))
        sys.stderr.write(f"steelyard: ignored columns that the bundle does not know: {shown}\n")
    if out is None:
        sys.stdout.write(predictions.text(".csv"))
    else:
        api.write_predictions(predictions, out)


@app.command(short_help="Measure a bundle on labelled rows.")
def evaluate(
    bundle: AnyBundle,
    rows: Annotated[Path, typer.Argument(help="Labelled rows: CSV, JSON Lines or Parquet.", show_default=False)],
    prices: Annotated[Path | None, typer.Option(help="File of own prices.")] = None,
    threads: Annotated[int, typer.Option(help="Threads that one prediction may use.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Measure a bundle on labelled rows: quality with intervals, latency, cost."""
    figures = _api().evaluate(bundle, rows, prices=prices, threads=threads)
    if as_json:
        _print_json(figures)
    else:
        _views().show_evaluation(figures, _console())


@app.command(short_help="Serve a bundle over HTTP.")
def serve(  # noqa: PLR0917 - options by name, all of them
    bundle: AnyBundle,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes any free one.")] = 8000,
    name: Annotated[str, typer.Option(help="What clients call the model.")] = "model",
    key: Annotated[
        list[str] | None,
        typer.Option(help="API key, as KEY or predict,read,admin:KEY; may be repeated.", envvar="STEELYARD_KEY"),
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="File of keys: SHA-256 and scopes, one a line.")] = None,
    no_keys: Annotated[bool, typer.Option("--no-keys", help="Let anybody ask; loopback addresses only.")] = False,
    threads: Annotated[int, typer.Option(help="Threads that one inference may use.")] = 1,
    batch: Annotated[int, typer.Option(help="Most rows computed at once; 0 measures the best.")] = 0,
    max_delay_ms: Annotated[float, typer.Option(help="How long a row waits for others.")] = 0.0,
    queue: Annotated[int, typer.Option(help="Most rows that may wait.")] = 1024,
    deadline_ms: Annotated[float, typer.Option(help="Longest wait of a request.")] = 30_000.0,
    max_rows: Annotated[int, typer.Option(help="Most rows of one request.")] = 4096,
    max_body_mb: Annotated[int, typer.Option(help="Longest body of a request, in MiB.")] = 16,
    log_share: Annotated[float, typer.Option(help="Share of requests that are logged, 0 to 1.")] = 0.0,
    repository: Annotated[bool, typer.Option("--repository", help="Answer calls under /v2/repository.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> None:
    """Serve a bundle, or the one that a run ships: Open Inference Protocol v2, and JSON rows at POST /predict.

    Without --key one is made and printed once. A page to try the model is at /docs.
    """
    serving = importlib.import_module("steelyard.serve")
    known = [serving.parse_key(text) for text in key or ()] + list(serving.read_keys(keys) if keys else ())
    secret = "" if known or no_keys else serving.new_secret()
    settings = serving.Settings(
        host=host,
        port=port,
        name=name,
        keys=(*known, serving.Key.of(secret)) if secret else tuple(known),
        no_keys=no_keys,
        threads=threads,
        batch=batch,
        max_delay_ms=max_delay_ms,
        queue=queue,
        deadline_ms=deadline_ms,
        limits=serving.Limits(rows=max_rows, body_bytes=max_body_mb * 2**20),
        log_share=log_share,
        repository=repository,
        certfile=tls_cert,
        keyfile=tls_key,
    )
    serving.serve(_bundle_folder(bundle), settings, announce=lambda address: _announce(address, secret))


def _announce(address: str, secret: str) -> None:
    """Say where the server answers, and the key that was made for it: it is kept nowhere."""
    shown = f"; key (shown this once): {secret}" if secret else ""
    sys.stdout.write(f"serving at {address}, to try at {address}/docs{shown}\n")
    sys.stdout.flush()


def _bundle_folder(place: Path) -> Path:
    """Return the bundle that a path means; a bundle itself needs nothing of what reads runs."""
    return place if (place / "manifest.json").exists() else Path(_api().bundle_folder(place))


@app.command(short_help="Put load on a server; say what it bears.")
def load(  # noqa: PLR0917 - options by name, all of them
    url: Annotated[str, typer.Argument(help="Address of the server, as http://127.0.0.1:8000.", show_default=False)],
    rps: Annotated[float | None, typer.Option(help="Requests per second, at random planned times.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of a test; unset: 30, or 5 in a search.")] = None,
    warm_up: Annotated[float, typer.Option(help="Seconds of load before counting begins.")] = 2.0,
    connections: Annotated[int | None, typer.Option(help="Instead: keep so many connections busy.")] = None,
    find_max: Annotated[bool, typer.Option("--find-max", help="Search the highest rate that keeps --p95-ms.")] = False,
    p95_ms: Annotated[float | None, typer.Option(help="Target of the 95th percentile, in ms.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Real rows to send in turn: CSV or JSON Lines.")] = None,
    protocol: Annotated[str, typer.Option(help="predict, v2 or v2-binary.")] = "predict",
    model: Annotated[str, typer.Option(help="Model to ask for its inputs; unset: only if needed.")] = "",
    key: Annotated[str, typer.Option(help="Key to show.", envvar="STEELYARD_KEY", show_default=False)] = "",
    ca: Annotated[str, typer.Option(help="File of certificates to trust (https).", show_default=False)] = "",
    batch: Annotated[int, typer.Option(help="Rows in a request.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds after which a request counts as lost.")] = 10.0,
    most: Annotated[int, typer.Option(help="Most connections of planned arrivals.")] = 1000,
    pid: Annotated[int, typer.Option(help="Process of the server: its time per request is told.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the planned times.")] = 0,
    as_json: Json = False,
) -> None:
    """Put load on a server and measure latency from the planned times, so that nobody who waits is left out.

    Exit code 62: the generator is not twice as fast as what it measured. 63: the server missed --p95-ms.
    """
    options = {name: value for name, value in locals().items() if name != "as_json"}
    command = importlib.import_module("steelyard.load.command")
    data, code = command.load(command.Asked(**options), as_json=as_json)
    if as_json:
        _print_json(data)
    raise typer.Exit(int(code))


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
    rows = _api().price_rows(file)
    if as_json:
        _print_json(rows)
    else:
        _views().show_rows(rows, _console())


def _list(kind: str, *, as_json: bool) -> None:
    rows = _api().registered(kind)
    if as_json:
        _print_json(rows)
    else:
        _views().show_rows(rows, _console())


def _began() -> float:
    """Return when this process was started, on the monotonic clock: a budget counts the whole command."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / 100
    except (OSError, ValueError, IndexError, AttributeError):
        age = 0.0
    return time.monotonic() - max(0.0, age)


def _interrupt(*_: object) -> None:
    """Treat a request to terminate as Ctrl-C: decide on what was measured."""
    raise KeyboardInterrupt


def _let_go_of_output() -> None:
    """Write to nowhere from now on: whoever read standard output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed() -> int:
    """Run what the words ask for; undo what the parser makes of Ctrl-C and of a closed standard output."""
    try:
        app()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(Exit.DONE)
        if code == _PARSER_INTERRUPTED:
            raise KeyboardInterrupt from None
        if code == _PARSER_UNHEARD:
            raise BrokenPipeError from None
        sys.stdout.flush()
        return code
    return int(Exit.DONE)


def main() -> None:
    """Run the command line; every foreseen error is one sentence and a numbered exit."""
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.stdout is None:  # started with a closed standard output
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end of the process
    try:
        code = _parsed()
    except SteelyardError as problem:
        code = _say(str(problem), problem.exit_code)
    except KeyboardInterrupt:
        code = _say(
            "stopped by Ctrl-C; nothing is half-written, and a run that has read its data goes on with "
            "`steelyard run --resume FOLDER`",
            Exit.INTERRUPTED,
        )
    except BrokenPipeError:
        _let_go_of_output()
        code = int(Exit.DONE)
    except OSError as problem:
        if problem.errno not in _REFUSALS:
            raise
        place = problem.filename or "standard output"
        code = _say(
            f"cannot write {place}: {problem.strerror}; free some space, or write elsewhere", Exit.RUN_UNWRITABLE
        )
        _let_go_of_output()
    raise SystemExit(code)


def _say(sentence: str, code: Exit) -> int:
    sys.stderr.write(f"steelyard: {sentence}\n")
    return int(code)


if __name__ == "__main__":
    main()
