"""What each call of the protocol answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.json_format import ParseDict

from steelyard.serve import oip
from steelyard.serve.app import App
from steelyard.serve.endpoint import Asking
from steelyard.serve.faults import not_found
from steelyard.serve.grpc.messages import SERVICE, InferRequest, message
from steelyard.serve.grpc.tensors import encode, parse
from steelyard.serve.http import Headers
from steelyard.serve.keys import Scope
from steelyard.serve.releases import routes as releases

INFER = "grpc_infer"
"""What inference is called in the metrics."""


@dataclass(slots=True)
class Caller:
    """Who calls: the metadata that came along, and whether it is still there."""

    context: Any
    headers: Headers
    id: bytes
    size: int = 0
    """Bytes of its message."""

    def has_left(self) -> bool:
        """Tell whether the client has called the call off, or its deadline has passed."""
        return bool(self.context.cancelled())


Answering = Callable[[App, Any, Caller], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """How a call is answered; ``scope`` is ``None`` where anybody may ask."""

    route: str
    scope: Scope | None
    takes: Any
    answer: Answering


def _told(name: str, data: dict[str, Any]) -> bytes:
    """Return the message of a name that says what a JSON answer of REST says."""
    encoded: bytes = ParseDict(data, message(name)(), ignore_unknown_fields=True).SerializeToString()
    return encoded


_of_health = partial(message, package="grpc.health.v1")


async def live(app: App, request: Any, caller: Caller) -> bytes:
    """Tell that the process runs."""
    del app, request, caller
    return _told("ServerLiveResponse", {"live": True})


async def ready(app: App, request: Any, caller: Caller) -> bytes:
    """Tell whether models answer."""
    del request, caller
    return _told("ServerReadyResponse", {"ready": app.is_ready})


async def check(app: App, request: Any, caller: Caller) -> bytes:
    """Tell whether requests may come, as the health protocol of gRPC asks: of the whole server, or of its service."""
    del caller
    if request.service not in {"", SERVICE}:
        raise not_found(f"no service is named {request.service[:80]!r}; ask for {SERVICE}, or for none")
    answer = _of_health("HealthCheckResponse")(status="SERVING" if app.is_ready else "NOT_SERVING")
    encoded: bytes = answer.SerializeToString()
    return encoded


async def model_ready(app: App, request: Any, caller: Caller) -> bytes:
    """Tell whether a model answers."""
    app.repository.find(request.name).choose(caller.headers, request.version)
    return _told("ModelReadyResponse", {"ready": True})


async def server(app: App, request: Any, caller: Caller) -> bytes:
    """Tell what the server is."""
    del request, caller
    return _told("ServerMetadataResponse", oip.server_metadata(repository=app.settings.repository))


async def metadata(app: App, request: Any, caller: Caller) -> bytes:
    """Tell what a model is."""
    deployed = app.repository.find(request.name).choose(caller.headers, request.version)
    return _told("ModelMetadataResponse", oip.metadata(deployed.served))


async def config(app: App, request: Any, caller: Caller) -> bytes:
    """Tell how a model is run."""
    deployed = app.repository.find(request.name).choose(caller.headers, request.version)
    return _told("ModelConfigResponse", {"config": oip.configuration(deployed)})


async def stats(app: App, request: Any, caller: Caller) -> bytes:
    """Tell what was counted, of one model or of all."""
    if request.name:
        several = [app.repository.find(request.name).choose(caller.headers, request.version).metrics]
    else:
        several = [deployed.metrics for endpoint in app.repository for deployed in endpoint]
    return _told("ModelStatisticsResponse", oip.statistics(several, app.metrics.totals()))


async def index(app: App, request: Any, caller: Caller) -> bytes:
    """List the versions."""
    del caller
    return _told("RepositoryIndexResponse", {"models": await releases.listing(app, is_ready=request.ready)})


async def load(app: App, request: Any, caller: Caller) -> bytes:
    """Load the version that a parameter names, which then answers."""
    return await _changed(app, request, caller, "load")


async def unload(app: App, request: Any, caller: Caller) -> bytes:
    """Unload the version that a parameter names, which loses its role."""
    return await _changed(app, request, caller, "unload")


async def _changed(app: App, request: Any, caller: Caller, what: str) -> bytes:
    given = {name: _value(parameter) for name, parameter in request.parameters.items()}
    await releases.changed(app, caller.headers, request.model_name, what, given)
    return b""


def _value(parameter: Any) -> bool | int | str | bytes | None:
    """Return what a parameter of the repository holds; ``None``: nothing."""
    kind = parameter.WhichOneof("parameter_choice")
    return None if kind is None else getattr(parameter, kind)


async def infer(app: App, request: Any, caller: Caller) -> bytes:
    """Answer tensors."""
    endpoint = app.repository.find(request.model_name)
    deployed = endpoint.choose(caller.headers, request.model_version)
    asked = await app.apart(caller.size, parse, deployed.served, request, app.settings.limits)
    waits = [wait for wait in (asked.wait, caller.context.time_remaining()) if wait is not None]
    wait = app.wait_of(caller.headers, min(waits, default=None))
    asking = Asking(caller.id.decode("latin-1"), caller.headers, wait, caller.has_left)
    return encode(request, asked, await endpoint.answer(deployed, asked.table, asking))


CALLS = {
    "ServerLive": Call("grpc_health", None, message("ServerLiveRequest"), live),
    "ServerReady": Call("grpc_health", None, message("ServerReadyRequest"), ready),
    "ModelReady": Call("grpc_health", Scope.READ, message("ModelReadyRequest"), model_ready),
    "ServerMetadata": Call("grpc_metadata", Scope.READ, message("ServerMetadataRequest"), server),
    "ModelMetadata": Call("grpc_metadata", Scope.READ, message("ModelMetadataRequest"), metadata),
    "ModelConfig": Call("grpc_config", Scope.READ, message("ModelConfigRequest"), config),
    "ModelStatistics": Call("grpc_stats", Scope.READ, message("ModelStatisticsRequest"), stats),
    "RepositoryIndex": Call("grpc_repository", Scope.ADMIN, message("RepositoryIndexRequest"), index),
    "RepositoryModelLoad": Call("grpc_repository", Scope.ADMIN, message("RepositoryModelLoadRequest"), load),
    "RepositoryModelUnload": Call("grpc_repository", Scope.ADMIN, message("RepositoryModelUnloadRequest"), unload),
    "ModelInfer": Call(INFER, Scope.PREDICT, InferRequest, infer),
}
CHECK = Call("grpc_health", None, _of_health("HealthCheckRequest"), check)
"""Of the health protocol, which is a service of its own."""
