"""Commands about servers: serve, load, deploy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.words import AnyBundle, Json, app, print_json, the_api


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
    grace: Annotated[int, typer.Option(help="Seconds for requests in flight once it is told to stop.")] = 30,
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
        grace_seconds=grace,
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
    return place if (place / "manifest.json").exists() else Path(the_api().bundle_folder(place))


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


@app.command(
    short_help="Write what runs a bundle elsewhere: an image, or a cluster.",
    context_settings={"allow_extra_args": True},
)
def deploy(  # noqa: PLR0917 - options by name, all of them
    context: typer.Context,
    bundle: AnyBundle,
    to: Annotated[str, typer.Option(help="docker or kubernetes.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files; empty or new.", show_default=False)],
    name: Annotated[str, typer.Option(help="Of image and objects; unset: that of the run.")] = "",
    model: Annotated[str, typer.Option(help="What clients call the model.")] = "model",
    image: Annotated[str, typer.Option(help="Reference of the image; unset: NAME:DIGEST of the bundle.")] = "",
    base: Annotated[str, typer.Option(help="Image to build on; unset: python:X.Y-slim-bookworm.")] = "",
    threads: Annotated[int | None, typer.Option(help="Threads of one inference; unset: the run's, or 1.")] = None,
    grace: Annotated[int, typer.Option(help="Seconds for requests in flight when it stops.")] = 30,
    extra: Annotated[list[str] | None, typer.Option(help="Extra of Steelyard that the server needs.")] = None,
    service_monitor: Annotated[bool, typer.Option("--service-monitor", help="Write a ServiceMonitor too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the files of an earlier deployment.")] = False,
    as_json: Json = False,
) -> None:
    """Write the context of an image, or the manifests of Kubernetes, for a bundle or the one that a run ships.

    The bundle is served here once, to measure start and memory. Options of `steelyard serve` may follow after --.
    """
    serve_command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    serve_command.make_context("serve", [str(bundle), *context.args])
    command = importlib.import_module("steelyard.deploy.command")
    asked = command.Asked(
        place=bundle,
        bundle=_bundle_folder(bundle),
        to=to,
        out=out,
        name=name,
        model=model,
        image=image,
        base=base,
        threads=threads,
        grace=grace,
        extras=tuple(extra or ()),
        serve=tuple(context.args),
        monitor=service_monitor,
        force=force,
    )
    data, lines = command.deployed(asked)
    if as_json:
        print_json(data)
    else:
        sys.stdout.write("\n".join(lines) + "\n")
