"""The port, the files and the cores that a server asks of the system."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.errors import ServingRefused
from steelyard.serve.app import App
from steelyard.serve.grpc import GrpcServer, address_of, require
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


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a server listens at: the socket of HTTP, which listens, and that of gRPC, which keeps its port alone.

    Raises
    ------
    MissingExtra
        If gRPC is asked for and not installed.
    """

    http: socket.socket
    grpc: socket.socket | None = None
    shared: bool = False
    """Whether several processes serve there."""

    def add_grpc(self, app: App) -> None:
        """Have an application answer gRPC too, where that was asked for."""
        if self.grpc is not None:
            app.companions.append(GrpcServer(app, self.grpc, shared=self.shared))

    def addresses(self, settings: Settings) -> tuple[str, str]:
        """Return where a server answers HTTP, as a URL, and gRPC; ``""`` where that is off."""
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"{'https' if settings.certfile else 'http'}://{host}:{self.http.getsockname()[1]}"
        return url, "" if self.grpc is None else address_of(self.grpc)


@contextlib.contextmanager
def sockets_of(settings: Settings) -> Iterator[Sockets]:
    """Open what a server listens at, so that two servers never believe to own one port.

    Raises
    ------
    ServingRefused
        If the address is not of this machine, or a port is taken.
    MissingExtra
        If gRPC is asked for and not installed.
    """
    with contextlib.ExitStack() as stack:
        http, grpc = stack.enter_context(bound(settings.host, settings.port)), None
        http.listen(_BACKLOG)
        if settings.grpc_port is not None:
            require()
            grpc = stack.enter_context(bound(settings.host, settings.grpc_port, "--grpc-port"))
        yield Sockets(http, grpc, settings.workers > 1)


def bound(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a socket that has a port to itself.

    Raises
    ------
    ServingRefused
        If the address is not of this machine, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as undo:
            made = undo.enter_context(socket.socket(family, kind, protocol))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.setblocking(False)
            undo.pop_all()
    except OSError as problem:
        why = problem.strerror or problem
        raise ServingRefused(f"cannot listen at {host}:{port}: {why}; name another --host or {option}") from None
    return made
