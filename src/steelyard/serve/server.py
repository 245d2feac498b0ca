"""The server process: opens the bundle, warms it up, binds the port, serves until it is told to stop."""

from __future__ import annotations

import contextlib
import gc
import logging
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from steelyard.errors import ServingRefused
from steelyard.serve.app import App
from steelyard.serve.batching import Batcher
from steelyard.serve.endpoint import Deployed, Endpoint
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served, open_served
from steelyard.serve.observing import observed
from steelyard.serve.protocol import protocol_with
from steelyard.serve.repository import Repository
from steelyard.serve.settings import Settings

_OWN_FILES = 64
"""Files that the process opens beside connections, generously."""


def make_app(folder: Path, settings: Settings) -> App:
    """Return the application that serves one bundle, ready to answer.

    Raises
    ------
    BundleRefused
        If the bundle cannot be opened or does not answer.
    """
    served = open_served(settings.name, folder, threads=settings.threads)
    served.warm_up()
    repository = Repository()
    repository.add(Endpoint(_deployed(served, settings)))
    return observed(App(settings, repository))


def _deployed(served: Served, settings: Settings) -> Deployed:
    metrics = ModelMetrics(served.name, served.version)
    batcher = Batcher(
        served,
        metrics,
        batch=settings.batch or min(served.batch, settings.queue),
        queue=settings.queue,
        max_delay=settings.max_delay_ms / 1000,
    )
    return Deployed(served, batcher, metrics)


def serve(folder: Path, settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve a bundle until a signal; then finish the requests in flight and return.

    Parameters
    ----------
    folder
        The bundle.
    settings
        How to serve it; without keys in them, ``no_keys`` must be set.
    announce
        Called with the address once the server answers there.

    Raises
    ------
    ServingRefused
        If the port cannot be bound, files cannot be had, or nobody could ask for want of a key.
    BundleRefused
        If the bundle cannot be opened or does not answer.
    """
    if not settings.keys and not settings.no_keys:
        raise ServingRefused("nobody could ask this server: give a key, or serve without keys on a loopback address")
    _allow_files(settings.limits.connections)
    with contextlib.closing(_bound(settings)) as bound, contextlib.closing(make_app(folder, settings)) as app:
        _settle_memory()
        server = Server(app, announce=lambda: announce(_address(bound, settings)))
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what strangers send is counted, not logged
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            server.run(sockets=[bound])


def _allow_files(connections: int) -> None:
    """Have the system allow as many open files as there may be connections.

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


def _settle_memory() -> None:
    """Have the collector of cycles never look again at what was loaded until now, which stays to the end."""
    gc.collect()
    gc.freeze()


class Server(uvicorn.Server):
    """uvicorn's server, which starts and stops what runs beside it and says when it answers."""

    def __init__(self, app: App, *, announce: Callable[[], None] = lambda: None) -> None:
        super().__init__(_config(app))
        self._app, self._announce = app, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        for companion in self._app.companions:
            await companion.start()
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, and end once the requests in flight are answered."""
        await super().shutdown(sockets)
        for companion in reversed(self._app.companions):
            await companion.stop(self._app.settings.grace_seconds)


def _config(app: App) -> uvicorn.Config:
    settings = app.settings
    return uvicorn.Config(
        app if app.tracing is None else app.tracing.around(app),
        http=protocol_with(settings.limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
        ssl_certfile=settings.certfile,
        ssl_keyfile=settings.keyfile,
    )


def _bound(settings: Settings) -> socket.socket:
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
            bound = undo.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.setblocking(False)
            undo.pop_all()
    except OSError as problem:
        why = problem.strerror or problem
        raise ServingRefused(f"cannot listen at {place}: {why}; name another --host or --port") from None
    return bound


def _address(bound: socket.socket, settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.certfile else 'http'}://{host}:{bound.getsockname()[1]}"
