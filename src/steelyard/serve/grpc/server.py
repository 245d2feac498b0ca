"""The gRPC server beside the HTTP server, on its event loop."""

from __future__ import annotations

import importlib
import os
import socket
from importlib.util import find_spec
from typing import Any

from steelyard.errors import ServingRefused, need
from steelyard.serve.app import App
from steelyard.serve.limits import Limits

_ASKER = "serving gRPC"
_IDENTITY = 1
"""The mask of gRPC's compression algorithms that leaves "none": what is unpacked has no bound of its own there."""


def require() -> None:
    """Refuse to serve gRPC without its packages, which are looked for and not loaded: the process may be forked yet.

    Raises
    ------
    MissingExtra
        If grpcio or protobuf is not installed.
    """
    if find_spec("grpc") is None:
        need("grpc", for_=_ASKER)
    if find_spec("google") is None or find_spec("google.protobuf") is None:
        need("google.protobuf", for_=_ASKER)


def address_of(bound: socket.socket) -> str:
    """Return the address of a socket, as HOST:PORT."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class GrpcServer:
    """Serves the models of an application by gRPC; one of the application's companions.

    Parameters
    ----------
    app
        The application, whose keys, limits, queues and metrics are used.
    bound
        A socket that is bound to the address and does not listen: the port is taken by it before a model is opened.
        It must stay open until the server has stopped.
    shared
        Whether other processes of this user serve at the same port, each of which gets a part of the connections.

    Raises
    ------
    MissingExtra
        If grpcio or protobuf is not installed.
    """

    def __init__(self, app: App, bound: socket.socket, *, shared: bool = False) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what strangers send is counted, not logged
        require()
        self._app, self._shared = app, shared
        self.address = address_of(bound)
        self._server: Any = None
        self._service: Any = None

    async def start(self) -> None:
        """Begin to answer.

        Raises
        ------
        ServingRefused
            If another program has begun to listen at the port.
        """
        grpc, service = need("grpc", for_=_ASKER), importlib.import_module("steelyard.serve.grpc.service")
        self._app.metrics.time(service.INFER)
        self._service = service.Service(self._app)
        self._server = grpc.aio.server(options=_options(self._app, shared=self._shared))
        self._server.add_generic_rpc_handlers((self._service,))
        try:
            self._listen(grpc)
        except RuntimeError:
            raise ServingRefused(f"cannot listen at {self.address}: it is taken; name another --grpc-port") from None
        await self._server.start()

    def _listen(self, grpc: Any) -> None:
        settings = self._app.settings
        if settings.certfile is None:
            self._server.add_insecure_port(self.address)
            return
        certificate = settings.certfile.read_bytes()
        key = certificate if settings.keyfile is None else settings.keyfile.read_bytes()
        self._server.add_secure_port(self.address, grpc.ssl_server_credentials([(key, certificate)]))

    async def stop(self, grace: float) -> None:
        """Take no more calls, and end once those in flight are answered, or after so many seconds."""
        if self._server is not None:
            self._service.close()
            await self._server.stop(grace)


def _options(app: App, *, shared: bool) -> list[tuple[str, int]]:
    """Return the limits of the application in gRPC's words."""
    limits: Limits = app.settings.limits
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.absolute_max_metadata_size", limits.header_bytes),
        ("grpc.max_concurrent_streams", 2 * limits.in_flight),  # one too many gets its sentence
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.server_handshake_timeout_ms", round(1000 * limits.header_seconds)),
        ("grpc.max_connection_idle_ms", 1000 * app.settings.keep_alive_seconds),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY),
    ]
