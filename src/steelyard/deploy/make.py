"""From a bundle to a folder of files: look at everything, serve it once, then write."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from steelyard.bundle import load
from steelyard.deploy.carried import trusted
from steelyard.deploy.docker import Context, docker_files
from steelyard.deploy.folder import check_free, write_folder
from steelyard.deploy.kubernetes import kubernetes_files
from steelyard.deploy.needs import Needs
from steelyard.deploy.pins import pins_of
from steelyard.deploy.rehearsal import Rehearsal, rehearse
from steelyard.deploy.wanted import PLATFORMS, To, Wanted, extras_of
from steelyard.deploy.wheel import make_wheel
from steelyard.errors import DeploymentRefused
from steelyard.money import Forecast

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Made:
    """What was written: where, the reference of the image, what was measured, and what to say of it."""

    folder: Path
    image: str
    rehearsal: Rehearsal
    needs: Needs
    sentences: tuple[str, ...]


def deploy(
    bundle: Path,
    to: To,
    folder: Path,
    wanted: Wanted,
    *,
    forecast: Forecast | None = None,
    force: bool = False,
    rehearsing: Callable[[Path, Wanted], Rehearsal] = rehearse,
) -> Made:
    """Write what it takes to run a bundle elsewhere.

    The bundle is verified and served once on a loopback address before anything is written.

    Parameters
    ----------
    bundle
        Its folder.
    to
        What the files are for.
    folder
        Where they go; it must be empty, or not there.
    wanted
        How to deploy.
    forecast
        What the run says of the bundle, if it came from one.
    force
        Whether the files of an earlier deployment may be replaced.
    rehearsing
        How the server is tried.

    Raises
    ------
    BundleRefused
        If the bundle is damaged, unsafe, or of a newer protocol.
    DeploymentRefused
        If it cannot be served, a key to trust is none, or the folder cannot be written.
    """
    if bundle.resolve() in {folder.resolve(), *folder.resolve().parents}:
        raise DeploymentRefused(f"{folder} lies in the bundle, which must stay as it is; name another folder with -o")
    check_free(folder, force=force)
    opened = load(bundle)
    digest = hashlib.sha256(opened.manifest.to_bytes()).hexdigest()[:_DIGITS]
    image = wanted.image or f"{wanted.name}:{digest}-{re.sub('[^A-Za-z0-9.]+', '-', version('steelyard'))}"
    keys = trusted(wanted.trust)
    if to is To.KUBERNETES:
        rehearsal = rehearsing(bundle, wanted)
        needs = Needs.of(rehearsal, wanted.threads, forecast, workers=wanted.workers)
        write_folder(folder, kubernetes_files(wanted, image, needs, keys), None, force=force)
        said = needs.reasons
    else:
        context = Context(pins_of(extras=extras_of(wanted)), make_wheel(), _size(bundle), keys)
        rehearsal = rehearsing(bundle, wanted)
        needs = Needs.of(rehearsal, wanted.threads, forecast, workers=wanted.workers)
        write_folder(folder, docker_files(wanted, image, context, needs), bundle, force=force)
        other = context.elsewhere(wanted.platforms or PLATFORMS)
        said = (context.size(wanted.base), *([other] if other else []), *needs.reasons[1:])
    return Made(folder, image, rehearsal, needs, said)


def _size(bundle: Path) -> int:
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
