"""Spans of OpenTelemetry for each request, and of its time in the queue and in the model (extra ``otel``).

Names and attributes are those of the semantic conventions for HTTP servers:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Health checks and scrapes have no spans.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextvars import ContextVar
from typing import Any

from steelyard.errors import ServingRefused, need
from steelyard.serve.http import Message, Receive, Scope, Send

_NANOSECONDS = 1e9
_QUIET = frozenset({"/metrics", "/v2/health/live", "/v2/health/ready"})
_PROTOCOLS = ("http/protobuf",)
_HONOURED = {
    "OTEL_TRACES_EXPORTER": ("otlp", "none"),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": _PROTOCOLS,
    "OTEL_EXPORTER_OTLP_PROTOCOL": _PROTOCOLS,
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_CARRIED = frozenset({b"traceparent", b"tracestate"})

current: ContextVar[Requested | None] = ContextVar("current", default=None)
"""The span of the request that this task answers."""


class Requested:
    """The span of one request."""

    __slots__ = ("_context", "_tracer")

    def __init__(self, tracer: Any, context: Any) -> None:
        self._tracer, self._context = tracer, context

    def computed(self, model: str, arrived: float, taken: float, seconds: float) -> None:
        """Tell where the time went; called once the rows are computed, or are not to be.

        Parameters
        ----------
        model
            Name of the model.
        arrived, taken
            When the rows came to the queue and when they left it, by :func:`time.perf_counter`; the latter 0 if never.
        seconds
            What computing them took, together with those that went along; 0 if it was not done.
        """
        now, clock = time.time_ns(), time.perf_counter()

        def at(moment: float) -> int:
            return now - int((clock - moment) * _NANOSECONDS)

        self._child("queue", model, at(arrived), at(taken or clock))
        if taken and seconds:
            self._child("compute", model, at(taken), at(taken + seconds))

    def _child(self, name: str, model: str, start: int, end: int) -> None:
        attributes = {"steelyard.model": model}
        child = self._tracer.start_span(name, context=self._context, start_time=start, attributes=attributes)
        child.end(end_time=max(start, end))


class Tracing:
    """Makes spans and sends them (:class:`steelyard.serve.app.Companion`).

    Parameters
    ----------
    provider
        A ``TracerProvider`` of the SDK of OpenTelemetry.
    """

    def __init__(self, provider: Any) -> None:
        self._trace = need("opentelemetry.trace", for_="traces")
        context = need("opentelemetry.trace.propagation.tracecontext", for_="traces")
        self._propagator = context.TraceContextTextMapPropagator()
        self._provider = provider
        self._tracer = provider.get_tracer("steelyard.serve")

    @classmethod
    def from_environment(cls) -> Tracing:
        """Return what sends spans as the environment variables of OpenTelemetry say.

        Raises
        ------
        ServingRefused
            If they ask for an exporter or a protocol that is not there.
        MissingExtra
            If the extra is not installed.
        """
        for name, allowed in _HONOURED.items():
            if (found := os.environ.get(name)) and found not in allowed:
                raise ServingRefused(f"cannot serve: {name} must be {' or '.join(allowed)} here; got {found[:40]!r}")
        trace = need("opentelemetry.sdk.trace", for_="sending traces")
        resources = need("opentelemetry.sdk.resources", for_="sending traces")
        usual = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "steelyard"}
        provider = trace.TracerProvider(resource=resources.Resource.create(usual), shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            exporter = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", for_="sending traces")
            export = need("opentelemetry.sdk.trace.export", for_="sending traces")
            provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter()))
        return cls(provider)

    async def start(self) -> None:
        """Have nothing to begin: spans are sent by a thread of the SDK."""

    async def stop(self, grace: float) -> None:
        """Send what is left, within so many seconds."""
        sender = threading.Thread(target=self._provider.shutdown, daemon=True)  # a collector may be gone
        sender.start()
        await asyncio.get_running_loop().run_in_executor(None, sender.join, grace)

    def around(self, app: Any) -> Any:
        """Return an ASGI application that has a span for each request of another one."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in _QUIET:
                await app(scope, receive, send)
                return
            span = self._begun(scope)
            inside = self._trace.set_span_in_context(span)
            token = current.set(Requested(self._tracer, inside) if span.is_recording() else None)

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._answered(span, message)
                await send(message)

            try:
                await app(scope, receive, told)
            finally:
                current.reset(token)
                span.end()

        return traced

    def _begun(self, scope: Scope) -> Any:
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}
        route = route_of(scope["path"])
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        name, attributes = method, {"http.request.method": method, "url.path": scope["path"][:200]}
        attributes["url.scheme"] = scope.get("scheme", "http")
        if route:
            attributes["http.route"] = route
            name = f"{name} {route}"
        if version := scope.get("http_version"):
            attributes["network.protocol.version"] = version
        if client := scope.get("client"):
            attributes["client.address"] = client[0]
        if server := scope.get("server"):
            attributes |= {"server.address": server[0], "server.port": server[1]}
        return self._tracer.start_span(
            name,
            context=self._propagator.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            attributes=attributes,
        )

    def _answered(self, span: Any, message: Message) -> None:
        status = message["status"]
        span.set_attribute("http.response.status_code", status)
        for name, value in message["headers"]:
            if name == b"x-request-id":
                span.set_attribute("http.response.header.x-request-id", [value.decode("latin-1")])
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(self._trace.StatusCode.ERROR)


def route_of(path: str) -> str:
    """Return the path with names of its parts in the place of what a client wrote; empty where there is no such route.

    Examples
    --------
    >>> route_of("/v2/models/late/versions/3/infer"), route_of("/predict"), route_of("/wp-login.php")
    ('/v2/models/{model}/versions/{version}/infer', '/predict', '')
    """
    words = path.split("/")
    match words:
        case ["", "v2", "models", "stats"]:
            return path
        case ["", "v2", "models", _, "versions", _, *rest]:
            return "/".join(["/v2/models/{model}/versions/{version}", *rest]) if _is_known(rest) else ""
        case ["", "v2", "models", _, *rest]:
            return "/".join(["/v2/models/{model}", *rest]) if _is_known(rest) else ""
        case ["", "v2", "repository", "models", _, ("load" | "unload") as what]:
            return f"/v2/repository/models/{{model}}/{what}"
    return path if path in _FIXED else ""


def _is_known(rest: list[str]) -> bool:
    return len(rest) < 2 and not {*rest} - {"ready", "infer", "config", "stats"}


_FIXED = frozenset({"/predict", "/openapi.json", "/docs", "/v2", "/v2/repository/index", "/labels", "/cost"})
