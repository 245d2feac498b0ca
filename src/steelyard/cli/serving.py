"""Commands about servers: serve, load, deploy."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import AnyBundle, Json, app, print_json, the_api


@app.command(short_help="Serve a bundle over HTTP.")
def serve(  # noqa: PLR0917 - options by name, all of them
    bundle: AnyBundle,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes any free one.")] = 8000,
    grpc_port: Annotated[int | None, typer.Option(help="Port for gRPC besides; 0 takes any free one.")] = None,
    name: Annotated[str, typer.Option(help="What clients call the model.")] = "model",
    key: Annotated[
        list[str] | None,
        typer.Option(help="API key, as KEY or predict,read,review,admin:KEY; may be repeated.", envvar="STEELYARD_KEY"),
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="File of keys: SHA-256 and scopes, one a line.")] = None,
    no_keys: Annotated[bool, typer.Option("--no-keys", help="Let anybody ask; loopback addresses only.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that answer at the one port.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads that one inference may use.")] = 1,
    batch: Annotated[int, typer.Option(help="Most rows computed at once; 0 measures the best.")] = 0,
    max_delay_ms: Annotated[float, typer.Option(help="How long a row waits for others.")] = 0.0,
    queue: Annotated[int, typer.Option(help="Most rows that may wait.")] = 1024,
    deadline_ms: Annotated[float, typer.Option(help="Longest wait of a request.")] = 30_000.0,
    max_rows: Annotated[int, typer.Option(help="Most rows of one request.")] = 4096,
    max_body_mb: Annotated[int, typer.Option(help="Longest body of a request, in MiB.")] = 16,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Another limit, as connections=500; an unknown name lists them. May be repeated."),
    ] = None,
    grace: Annotated[int, typer.Option(help="Seconds for requests in flight once it is told to stop.")] = 30,
    hang_seconds: Annotated[float, typer.Option(help="A worker that stands still so long is replaced.")] = 30.0,
    start_seconds: Annotated[float, typer.Option(help="A worker that is not ready after so long is replaced.")] = 300.0,
    log_share: Annotated[float, typer.Option(help="Share of requests that are logged, 0 to 1.")] = 0.0,
    repository: Annotated[
        bool, typer.Option("--repository", help="Answer calls under /releases and /v2/repository.")
    ] = False,
    escalate: Annotated[Path | None, typer.Option(help="File of `steelyard escalate` for unsure rows.")] = None,
    stable: Annotated[str, typer.Option(help="Version of a shelf that answers first.", show_default=False)] = "",
    state: Annotated[Path | None, typer.Option(help="Folder of the log of switches; unset: the shelf.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Address of more versions; may be repeated.")] = None,
    trust: Annotated[list[Path] | None, typer.Option(help="Public key that must sign; may be repeated.")] = None,
    watch: Annotated[Path | None, typer.Option(help="YAML of when to go back by itself.")] = None,
    log: Annotated[
        str | None,
        typer.Option(help="Log predictions to a file or postgresql://...", envvar="STEELYARD_LOG", show_default=False),
    ] = None,
    log_sample: Annotated[float | None, typer.Option(help="Share of requests in that log; unset: all.")] = None,
    log_inputs: Annotated[str | None, typer.Option(help="summary, numbers, none or columns:NAME,NAME.")] = None,
    log_rows: Annotated[int | None, typer.Option(help="Most predictions it keeps; unset: 1000000.")] = None,
    log_mb: Annotated[float | None, typer.Option(help="Most MiB of predictions; unset: 1024.")] = None,
    log_days: Annotated[float | None, typer.Option(help="Age at which they go; unset: 90.")] = None,
    traces: Annotated[bool, typer.Option("--traces", help="Send spans as OTEL_ variables say (extra otel).")] = False,
    price_per_hour: Annotated[
        str | None, typer.Option(help="Of this machine, as '0.10 USD'; catalogue takes that of `steelyard prices`.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> None:
    """Serve a bundle, the one that a run ships, or a shelf: Open Inference Protocol v2, and JSON rows at POST /predict.

    Without --key one is made and printed once. A page to try the model is at /docs.
    """
    options = {name: value for name, value in locals().items() if name != "bundle"}
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads that a server never uses
    command = importlib.import_module("steelyard.serve.command")
    command.serve(bundle_folder(bundle), command.Asked(**options))


def bundle_folder(place: Path) -> Path:
    """Return the bundle or the shelf that a path means; only a run needs what reads runs."""
    return Path(the_api().bundle_folder(place)) if (place / "events.jsonl").exists() else place


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
    run: Annotated[
        Path | None, typer.Option(help="Run whose prediction is printed beside.", show_default=False)
    ] = None,
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
        print_json(data)
    raise typer.Exit(int(code))
