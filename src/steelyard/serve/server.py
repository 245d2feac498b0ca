"""One server process: takes connections, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from steelyard.serve.acceptor import Acceptor
from steelyard.serve.app import App
from steelyard.serve.assembly import make_app
from steelyard.serve.binding import Sockets
from steelyard.serve.protocol import protocol_with
from steelyard.serve.settings import Settings

_TURN = 0.02
"""Seconds between two looks at what is left to do."""


def run_alone(folder: Path, settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    """Serve a bundle from this process until a signal; then finish the requests in flight and return.

    Raises
    ------
    BundleRefused
        If the bundle cannot be opened or does not answer.
    """
    with contextlib.closing(make_app(folder, settings)) as app:
        sockets.add_grpc(app)
        settle()
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            Server(app, announce=announce).run(sockets=[sockets.http])


def settle() -> None:
    """Have the collector of cycles never look again at what was loaded until now, and uvicorn log errors alone."""
    gc.collect()
    gc.freeze()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what strangers send is counted, not logged


class Server(uvicorn.Server):
    """uvicorn's server, which starts and stops what runs beside it, says when it answers, and cuts nobody off."""

    linger_seconds = 0.5
    """How long connections without a request are left to their clients once the server was told to stop."""

    def __init__(self, app: App, *, announce: Callable[[], None] = lambda: None) -> None:
        super().__init__(_config(app))
        self._app, self._announce = app, announce
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take connections from some sockets."""
        for companion in self._app.companions:
            await companion.start()
        await super().startup([])  # uvicorn shall listen nowhere by itself
        for each in sockets or []:
            each.setblocking(False)
            acceptor = Acceptor(
                each, self._connection, self._app.metrics, tls=self.config.ssl, limits=self._app.settings.limits
            )
            self._acceptors.append(acceptor)
            acceptor.start()
        self._app.metrics.region.is_ready = True
        self._announce()

    def _connection(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, make every answer the last of its connection, and end once all are given."""
        self._app.metrics.region.is_ready = False
        for acceptor in self._acceptors:
            acceptor.stop()
        for each in sockets or []:
            each.close()
        await self._drain()
        await super().shutdown()
        for companion in reversed(self._app.companions):
            await companion.stop(self._app.settings.grace_seconds)

    async def _drain(self) -> None:
        """Wait until every client has had its last answer; those who ask nothing are waited for a while only."""
        began = time.monotonic()
        make: Any = self.config.http_protocol_class
        make.is_draining = True
        connections: Any = self.server_state.connections
        for connection in list(connections):
            connection.drain()
        while time.monotonic() < began + self.linger_seconds:
            if not connections and not any(acceptor.opening for acceptor in self._acceptors):
                break
            await asyncio.sleep(_TURN)


def _config(app: App) -> uvicorn.Config:
    settings = app.settings
    return uvicorn.Config(
        app if app.tracing is None else app.tracing.around(app),
        http=protocol_with(settings.limits, app.metrics),
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
