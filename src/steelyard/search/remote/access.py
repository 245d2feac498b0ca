"""The way into Ray: a cluster of its own on this machine, or one elsewhere, which must know us by a token.

A Ray cluster runs whatever code it is sent, so a cluster that asks nobody who they are belongs to everybody who can
reach it. Ray has had tokens since 2.52 (``RAY_AUTH_MODE=token``); this module insists on them.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from steelyard.errors import Exit, SteelyardError, need

OLDEST = (2, 52)
"""The first Ray that knows tokens."""
KNOCK = 5.0
"""Seconds within which a cluster must take a connection."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


class ClusterRefused(SteelyardError):
    """A cluster that cannot be reached, or must not be used."""

    exit_code = Exit.CLUSTER_REFUSED


def places_of_token(environment: Mapping[str, str] | None = None) -> dict[str, bool]:
    """Return where Ray looks for the token, in order, and whether there is one.

    Examples
    --------
    >>> places_of_token({"RAY_AUTH_TOKEN": "secret"})["RAY_AUTH_TOKEN in the environment"]
    True
    """
    known = os.environ if environment is None else environment
    named = known.get("RAY_AUTH_TOKEN_PATH", "")
    usual = Path(known.get("HOME", "~")).expanduser() / ".ray" / "auth_token"
    return {
        "RAY_AUTH_TOKEN in the environment": bool(known.get("RAY_AUTH_TOKEN", "").strip()),
        "the file that RAY_AUTH_TOKEN_PATH names": bool(named) and _holds_text(Path(named)),
        f"the file {usual}": _holds_text(usual),
    }


def _holds_text(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False


@contextmanager
def connected(address: str | None, *, cpus: int, folder: Path | None) -> Iterator[ModuleType]:
    """Connect to a cluster, or start one here that only this machine can reach; give Ray, and let go in the end.

    Parameters
    ----------
    address
        ``host:port`` of a cluster that this machine is part of, or ``auto`` for the one that runs here; unset: a new
        one, or what this process is connected to already.
    cpus
        Cores of a new one.
    folder
        What a new one writes, logs and sockets, goes here; unset: where Ray has it.

    Raises
    ------
    ClusterRefused
        Where there is no token, no answer, or an answer that says no.
    MissingExtra
        Where Ray is not installed.
    """
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    os.environ.update(_QUIET)
    try:
        if address is not None:
            _insist_on_token(address)
        else:
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # its name for: listen on 127.0.0.1 alone
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            _open(ray, address, cpus, folder)
    finally:
        _restore(before)
        _handle_again(handler)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()
            _handle_again(handler)


def _ray() -> ModuleType:
    ray = need("ray", for_="the executor `ray`")
    found = re.match(r"(\d+)\.(\d+)", ray.__version__)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise ClusterRefused(f"Ray {ray.__version__} knows no tokens; pip install 'ray>={least}'")
    return ray


def _insist_on_token(address: str) -> None:
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode != "token":
        raise ClusterRefused(
            f"the Ray cluster {address} is used with a token only, and RAY_AUTH_MODE is {mode!r}; set it to 'token' on "
            "every machine of the cluster and here"
        )
    places = places_of_token()
    if not any(places.values()):
        looked = "; ".join(f"{number}. {place}" for number, place in enumerate(places, 1))
        raise ClusterRefused(
            f"the Ray cluster {address} is used with a token only, and there is none. Looked in, in order: {looked}. "
            "`ray get-auth-token --generate` makes one: have every machine of the cluster know it"
        )
    os.environ["RAY_AUTH_MODE"] = "token"


def _open(ray: ModuleType, address: str | None, cpus: int, folder: Path | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address is None:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder and str(folder), **quiet)
        return
    if address != "auto":
        _knock(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as problem:
        raise ClusterRefused(
            f"the Ray cluster {address} cannot be used ({problem}); see that it runs, that this machine is part of it "
            "(`ray start --address`), and that both have the same token"
        ) from problem


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except (OSError, ValueError) as problem:
        raise ClusterRefused(
            f"the Ray cluster {address} does not answer ({problem}); see that it runs, and name its `host:port`"
        ) from problem


def _restore(before: Mapping[str, str]) -> None:
    """Leave the environment as it was: the processes that a run starts are not Ray's."""
    for name in set(os.environ) - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _handle_again(handler: Any) -> None:
    """Put the handling of a request to terminate back: Ray sets its own."""
    if handler is not None:
        try:
            signal.signal(signal.SIGTERM, handler)
        except ValueError:  # not the main thread: nothing was set
            return
