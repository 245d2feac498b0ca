"""The command that writes what runs a bundle elsewhere: deploy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.serving import bundle_folder
from steelyard.cli.words import AnyBundle, Json, app, print_json


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
    platform: Annotated[
        list[str] | None, typer.Option(help="linux/amd64 or linux/arm64; unset: both, in a cluster this machine's.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of one inference; unset: the run's, or 1.")] = None,
    grace: Annotated[int, typer.Option(help="Seconds for requests in flight when it stops.")] = 30,
    workers: Annotated[int, typer.Option(help="Processes of one replica that answer.")] = 1,
    grpc_port: Annotated[int | None, typer.Option(help="Port for gRPC besides, 1024 to 65535.")] = None,
    trust: Annotated[list[Path] | None, typer.Option(help="Public key that must sign; carried along.")] = None,
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
        bundle=bundle_folder(bundle),
        to=to,
        out=out,
        name=name,
        model=model,
        image=image,
        base=base,
        platforms=tuple(dict.fromkeys(platform or ())),
        threads=threads,
        grace=grace,
        workers=workers,
        grpc_port=grpc_port,
        trust=tuple(trust or ()),
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
