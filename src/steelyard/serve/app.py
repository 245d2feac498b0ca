"""The application: finds what a path means, lets in who may, answers, and counts."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from steelyard.errors import BundleRefused, RowsRefused
from steelyard.serve import http
from steelyard.serve.access_log import AccessLog
from steelyard.serve.batching import ClientLeft
from steelyard.serve.endpoint import Asking
from steelyard.serve.faults import Fault, malformed, overloaded, unfit
from steelyard.serve.http import Disconnected, Receive, Request, Scope, Send
from steelyard.serve.keys import Gate
from steelyard.serve.metrics import Metrics
from steelyard.serve.repository import Repository
from steelyard.serve.routes import find
from steelyard.serve.settings import Settings

if TYPE_CHECKING:
    from steelyard.serve.cost import Meter
    from steelyard.serve.log import PredictionLog
    from steelyard.serve.tracing import Tracing

_T = TypeVar("_T")
_LOGGER = logging.getLogger("steelyard.serve")
_BIG = 2**17
"""Bytes of a body above which reading it would hold up the event loop; it is read in a thread then."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_LEFT = 499
"""What is counted for clients that did not wait; nobody receives it."""


class Companion(Protocol):
    """What runs beside the HTTP server on the same event loop: another protocol, a writer, a watcher."""

    async def start(self) -> None:
        """Begin; called before the server says that it is ready."""
        ...

    async def stop(self, grace: float) -> None:
        """End within so many seconds; called when no request is left."""
        ...


class App:
    """An ASGI application that serves the models of a repository.

    There is no framework below it: at a fifth of a millisecond for a request, routing and validation by one would cost
    more than everything else together.
    """

    def __init__(self, settings: Settings, repository: Repository) -> None:
        self.settings, self.repository = settings, repository
        self.metrics = Metrics()
        self.companions: list[Companion] = []
        self.log: PredictionLog | None = None
        self.cost: Meter | None = None
        self.tracing: Tracing | None = None
        self.in_flight = 0
        """Requests that are read or worked on now."""
        self._held = 0
        """Bytes that long bodies in reading may come to."""
        self._gate = Gate(settings.keys, is_open=settings.no_keys)
        self._log = AccessLog(settings.log_share)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="read")
        self._ids = map("{}-{:x}".format, itertools.repeat(secrets.token_hex(4)), itertools.count(1))

    @property
    def is_ready(self) -> bool:
        """Whether there are models, each of which is warmed up before it is added."""
        return any(True for _ in self.repository)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']!r}")
        began, route, status, cause = time.perf_counter(), "other", 500, "internal"
        request_id = b""
        self.in_flight += 1
        try:
            try:
                headers = http.headers_of(scope["headers"])
                request_id = self._id_of(headers)
                request = Request(scope["method"], scope["path"], headers, receive, request_id.decode("latin-1"))
                found, words = find(request.method, request.path)
                route = found.name
                if found.scope is not None:
                    self._gate.check(headers, found.scope)
                    self._refuse_crowd()
                reply, cause = await found.handle(self, request, *words), ""
            except (Fault, RowsRefused, BundleRefused) as problem:
                fault = _fault_of(problem)
                if isinstance(problem, BundleRefused):
                    _LOGGER.exception("request %s", request_id.decode("latin-1"))
                reply, cause = http.fault_reply(fault), fault.cause
            status = reply.status
            await http.send_reply(send, reply, request_id)
        except (ClientLeft, Disconnected):
            status, cause = _LEFT, "client_left"
        finally:
            self.in_flight -= 1
            seconds = time.perf_counter() - began
            self.metrics.ended(route, status, cause, seconds)
            self._log.ended(request_id, scope, status, cause, seconds)

    def _id_of(self, headers: http.Headers) -> bytes:
        """Return the id of a request: its own, or a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        return next(self._ids).encode()

    def _refuse_crowd(self) -> None:
        most = self.settings.limits.in_flight
        if self.in_flight > most:
            raise overloaded("crowd", f"{most:,} requests are worked on already; try again in a second")

    def asking(self, request: Request, wait: float | None = None) -> Asking:
        """Return what is known of a request.

        Parameters
        ----------
        request
            The request.
        wait
            Seconds that its body says it may wait.

        Raises
        ------
        Fault
            If the header ``X-Deadline-Ms`` is no whole number above 0.
        """
        return Asking(request.id, request.headers, self.wait_of(request.headers, wait), request.has_left)

    def wait_of(self, headers: http.Headers, asked: float | None = None) -> float:
        """Return how many seconds a request may wait in the queue: what it asks for, but no more than is set.

        Raises
        ------
        Fault
            If the header ``X-Deadline-Ms`` is no whole number above 0.
        """
        most = self.settings.deadline_ms / 1000
        header = headers.get(b"x-deadline-ms")
        if header is not None:
            if not header.isdigit() or len(header) > 9 or int(header) == 0:
                raise malformed("the header X-Deadline-Ms must be a whole number of milliseconds above 0")
            most = min(most, int(header) / 1000)
        return most if asked is None else min(most, asked)

    async def read(self, request: Request) -> bytes:
        """Read the body of a request, if there is room for it.

        Raises
        ------
        Fault
            If it is too large or too slow, or too many long ones are being read.
        """
        limits = self.settings.limits
        size = request.promised(limits)
        if size <= _BIG or size > limits.body_bytes:
            return await request.body(limits)
        if self._held + size > limits.held_bytes:
            raise overloaded("memory", "too many long requests are being read; try again in a second")
        self._held += size
        try:
            return await request.body(limits)
        finally:
            self._held -= size

    async def apart(self, size: int, work: Callable[..., _T], *arguments: Any) -> _T:
        """Do some work here if it is small, and in a thread if it would hold up others."""
        if size <= _BIG:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)

    def metrics_text(self) -> str:
        """Return everything that was counted, as Prometheus reads it."""
        models = [(each.metrics, each.batcher.waiting) for endpoint in self.repository for each in endpoint]
        return self.metrics.text(models, self.in_flight)

    def close(self) -> None:
        """End every thread."""
        self._readers.shutdown()
        self.repository.close()


def _fault_of(problem: Fault | RowsRefused | BundleRefused) -> Fault:
    """Return what the client is told; of a model that fails only that it does."""
    if isinstance(problem, Fault):
        return problem
    if isinstance(problem, RowsRefused):
        return unfit(str(problem))
    return Fault(500, "model", "the model failed on these rows; the operator finds the request by its id")
