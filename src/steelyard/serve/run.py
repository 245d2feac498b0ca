"""Serve a bundle: from one process, or from several behind one port."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.errors import ServingRefused
from steelyard.serve.binding import allow_files, sockets_of, warning_of
from steelyard.serve.fleet import supervise
from steelyard.serve.server import run_alone
from steelyard.serve.settings import Settings


def serve(folder: Path, settings: Settings, *, announce: Callable[[str, str], None]) -> None:
    """Serve a bundle until a signal; then finish the requests in flight and return.

    Parameters
    ----------
    folder
        The bundle.
    settings
        How to serve it; without keys in them, ``no_keys`` must be set.
    announce
        Called with the addresses of HTTP and gRPC (``""`` where that is off) once the server, and each of its workers,
        answers there.

    Raises
    ------
    ServingRefused
        If the port cannot be bound, files or processes cannot be had, or nobody could ask for want of a key.
    BundleRefused
        If the bundle cannot be opened or does not answer.
    """
    if not settings.keys and not settings.no_keys:
        raise ServingRefused("nobody could ask this server: give a key, or serve without keys on a loopback address")
    allow_files(settings.limits.connections * (1 if settings.grpc_port is None else 2))
    if warning := warning_of(settings):
        sys.stderr.write(f"steelyard: {warning}\n")
    with sockets_of(settings) as sockets:
        serve_from = run_alone if settings.workers == 1 else supervise
        serve_from(folder, settings, sockets, lambda: announce(*sockets.addresses(settings)))
