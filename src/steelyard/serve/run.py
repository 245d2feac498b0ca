"""Serve a bundle: from one process, or from several behind one port."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.errors import ServingRefused
from steelyard.serve.binding import address_of, allow_files, listening_socket, warning_of
from steelyard.serve.fleet import supervise
from steelyard.serve.server import run_alone
from steelyard.serve.settings import Settings


def serve(folder: Path, settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve a bundle until a signal; then finish the requests in flight and return.

    Parameters
    ----------
    folder
        The bundle.
    settings
        How to serve it; without keys in them, ``no_keys`` must be set.
    announce
        Called with the address once the server, and each of its workers, answers there.

    Raises
    ------
    ServingRefused
        If the port cannot be bound, files or processes cannot be had, or nobody could ask for want of a key.
    BundleRefused
        If the bundle cannot be opened or does not answer.
    """
    if not settings.keys and not settings.no_keys:
        raise ServingRefused("nobody could ask this server: give a key, or serve without keys on a loopback address")
    allow_files(settings.limits.connections)
    if warning := warning_of(settings):
        sys.stderr.write(f"steelyard: {warning}\n")
    with contextlib.closing(listening_socket(settings)) as listening:
        serve_from = run_alone if settings.workers == 1 else supervise
        serve_from(folder, settings, listening, lambda: announce(address_of(listening, settings)))
