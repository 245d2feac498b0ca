"""The port, the files and the cores that a server asks of the system."""

from __future__ import annotations

import contextlib
import os
import resource
import socket

from steelyard.errors import ServingRefused
from steelyard.serve.settings import Settings

_OWN_FILES = 64
"""Files that a process opens beside connections, generously."""
_BACKLOG = 2048
"""Connections that wait in the kernel until they are taken."""


def allow_files(connections: int) -> None:
    """Have the system allow a process as many open files as there may be connections.

    Raises
    ------
    ServingRefused
        If it does not.
    """
    needed = connections + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in {soft, hard} and hard < needed:
        raise ServingRefused(
            f"{connections:,} connections need {needed:,} open files, and the system allows {hard:,}: raise "
            "`ulimit -n`, or allow fewer connections"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def warning_of(settings: Settings) -> str:
    """Return what is unwise in the settings on this machine, or nothing."""
    cores, busy = len(os.sched_getaffinity(0)), settings.workers * settings.threads
    if settings.workers == 1 or busy <= cores:
        return ""
    return (
        f"workers ({settings.workers}) times threads ({settings.threads}) is {busy}, and there are {cores} cores: "
        "under load they will wait for each other"
    )


def listening_socket(settings: Settings) -> socket.socket:
    """Return a socket that listens, so that two servers never believe to own one port.

    Raises
    ------
    ServingRefused
        If the address is not of this machine, or the port is taken.
    """
    place = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as undo:
            listening = undo.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            listening.setblocking(False)
            undo.pop_all()
    except OSError as problem:
        why = problem.strerror or problem
        raise ServingRefused(f"cannot listen at {place}: {why}; name another --host or --port") from None
    return listening


def address_of(listening: socket.socket, settings: Settings) -> str:
    """Return where a server answers, as a URL."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.certfile else 'http'}://{host}:{listening.getsockname()[1]}"
