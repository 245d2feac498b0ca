"""What ``steelyard deploy`` does with its options."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.deploy.make import Made, deploy
from steelyard.deploy.wanted import PLATFORMS, To, Wanted, label_of, own_platform, to_of
from steelyard.errors import BundleRefused, DeploymentRefused, RunUnreadable
from steelyard.money import Forecast
from steelyard.money.forecast import REPORT

OWN = (
    *("--host", "--port", "--name", "--threads", "--grace", "--workers", "--grpc-port", "--trust"),
    *("--key", "--keys", "--no-keys", "--tls-cert", "--tls-key", "--stable", "--state", "--source", "--watch"),
)
"""Options of the server that a deployment sets, that its container must not be given, or that belong to a shelf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command; empty words and ``None`` are unset."""

    place: Path
    bundle: Path
    to: str
    out: Path
    name: str = ""
    model: str = "model"
    image: str = ""
    base: str = ""
    platforms: tuple[str, ...] = ()
    threads: int | None = None
    grace: int = 30
    workers: int = 1
    grpc_port: int | None = None
    trust: tuple[Path, ...] = ()
    extras: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    monitor: bool = False
    force: bool = False


def deployed(asked: Asked) -> tuple[dict[str, Any], list[str]]:
    """Carry out a deployment; return its JSON and the lines to print.

    Raises
    ------
    DeploymentRefused
        If it cannot be made as it was asked for.
    BundleRefused
        If there is no bundle, or it cannot be loaded.
    """
    to = to_of(asked.to)
    _refuse_own(asked.serve)
    if asked.monitor and to is not To.KUBERNETES:
        raise DeploymentRefused("--service-monitor is for Kubernetes; leave it out, or write --to kubernetes")
    if asked.extras and to is not To.DOCKER:
        raise DeploymentRefused("--extra is for the image; give it with --to docker")
    if not (asked.bundle / "manifest.json").is_file():
        raise BundleRefused(f"there is no bundle in {asked.bundle}; name a bundle, or a run that has come to one")
    forecast = _forecast(asked)
    wanted = Wanted(
        name=asked.name or label_of(_words(asked, forecast)),
        model=asked.model,
        image=asked.image,
        base=asked.base,
        platforms=asked.platforms,
        threads=asked.threads or (forecast.threads if forecast else 1),
        grace=asked.grace,
        workers=asked.workers,
        grpc_port=asked.grpc_port,
        trust=asked.trust,
        extras=asked.extras,
        serve=asked.serve,
        monitor=asked.monitor,
    )
    made = deploy(asked.bundle, to, asked.out, wanted, forecast=forecast, force=asked.force)
    return _json(made, to, wanted), list(_lines(made, to, wanted))


def _refuse_own(options: tuple[str, ...]) -> None:
    for option in options:
        name = option.partition("=")[0]
        if name == "--escalate":
            raise DeploymentRefused(
                "--escalate is not carried along: whom it asks needs a key and a way out of the container's network, "
                "or a disk that stays; open those where the container is run, mount the file there and give the option"
            )
        if name in OWN:
            raise DeploymentRefused(
                f"{name} cannot be given to the server here: the deployment sets it, or it belongs to who runs the "
                "container; `steelyard deploy --help` shows what can be said of it"
            )


def _forecast(asked: Asked) -> Forecast | None:
    """Return what the run says, if there is one that says something."""
    if asked.place == asked.bundle or not (asked.place / REPORT).is_file():
        return None
    try:
        return Forecast.of_run(asked.place)
    except RunUnreadable as problem:
        raise DeploymentRefused(f"{problem}; or name the bundle itself: {asked.bundle}") from problem


def _words(asked: Asked, forecast: Forecast | None) -> str:
    if forecast is not None:
        return forecast.name
    manifest = json.loads((asked.bundle / "manifest.json").read_bytes())
    return str(manifest["task"]["target"]) if isinstance(manifest, dict) and "task" in manifest else "model"


def _json(made: Made, to: To, wanted: Wanted) -> dict[str, Any]:
    return {
        "to": to.value,
        "folder": str(made.folder),
        "files": sorted(path.name for path in made.folder.iterdir()),
        "name": wanted.name,
        "image": made.image,
        "start_seconds": float(made.rehearsal.seconds),
        "memory_bytes": made.rehearsal.memory_bytes,
        "request_ms": made.rehearsal.request_ms,
        "platforms": list(wanted.platforms or (PLATFORMS if to is To.DOCKER else (own_platform(),))),
        "replicas": {"least": made.needs.least, "most": made.needs.most} if to is To.KUBERNETES else None,
        "said": list(made.sentences),
    }


def _lines(made: Made, to: To, wanted: Wanted) -> list[str]:
    after = {
        To.DOCKER: f"docker build --tag {made.image} {made.folder}",
        To.KUBERNETES: f"the Secret (see {made.folder / 'README.md'}), then kubectl apply -k {made.folder}",
    }[to]
    first = f"written to {made.folder}: the bundle was served here once and became ready"
    lines = [first, *made.sentences, f"next: {after}"]
    if to is To.DOCKER:
        several = ",".join(wanted.platforms or PLATFORMS)
        lines.append(f"or: docker buildx build --platform {several} --tag {made.image} --push {made.folder}")
    return lines
