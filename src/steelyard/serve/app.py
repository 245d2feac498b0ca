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
from steelyard.serve.http import Disconnected, Receive, Reply, Request, Scope, Send
from steelyard.serve.keys import Gate
from steelyard.serve.keys import Scope as KeyScope
from steelyard.serve.metrics import Metrics
from steelyard.serve.repository import Repository
from steelyard.serve.routes import find
from steelyard.serve.settings import Settings

if TYPE_CHECKING:
    from steelyard.serve.cost import Meter
    from steelyard.serve.escalation import Escalation
    from steelyard.serve.log import PredictionLog
    from steelyard.serve.releases.board import Board
    from steelyard.serve.tracing import Tracing

_T = TypeVar("_T")
_LOGGER = logging.getLogger("steelyard.serve")
_BIG = 2**17
"""Bytes of a body above which reading it would hold up the event loop; it is read in a thread then."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
LEFT = 499
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

    def __init__(self, settings: Settings, repository: Repository, metrics: Metrics) -> None:
        self.settings, self.repository, self.metrics = settings, repository, metrics
        self.companions: list[Companion] = []
        self.board: Board | None = None
        """Where versions of the model can be switched."""
        self.escalation: Escalation | None = None
        """What happens to rows that the bundle it was calibrated for is not sure of."""
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
        """Whether there are models, each of which is warmed up before it is added, and answers by the right version."""
        return all(ready := [endpoint.is_ready for endpoint in self.repository]) and bool(ready)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']!r}")
        self.flew(1)
        try:
            request_id, reply = await self._answered(scope, receive)
            if reply is not None:
                await http.send_reply(send, reply, request_id)
        finally:
            self.flew(-1)

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[bytes, Reply | None]:
        """Return a request's id and its answer, counted before anybody sees it; ``None`` if nobody will."""
        began, route, status, cause = time.perf_counter(), "other", 500, "internal"
        request_id = b""
        reply: Reply | None
        try:
            headers = http.headers_of(scope["headers"])
            request_id = self.id_of(headers)
            request = Request(scope["method"], scope["path"], headers, receive, request_id.decode("latin-1"))
            request.query = scope["query_string"]
            found, words = find(request.method, request.path)
            route = found.name
            if found.scope is not None:
                self._gate.check(headers, found.scope)
                self.refuse_crowd()
            made = await found.handle(self, request, *words)
            reply, status, cause = made, made.status, ""
        except (Fault, RowsRefused, BundleRefused) as problem:
            fault = fault_of(problem)
            if isinstance(problem, BundleRefused):
                _LOGGER.exception("request %s", request_id.decode("latin-1"))
            reply, status, cause = http.fault_reply(fault), fault.status, fault.cause
        except (ClientLeft, Disconnected):
            reply, status, cause = None, LEFT, "client_left"
        finally:
            self.ended(request_id, scope, route, status, cause, time.perf_counter() - began)
        return request_id, reply

    def flew(self, step: int) -> None:
        """Count a request that came (1) or is done with (-1)."""
        self.in_flight += step
        self.metrics.in_flight.set(self.in_flight)

    def id_of(self, headers: http.Headers) -> bytes:
        """Return the id of a request: its own, or a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        return next(self._ids).encode()

    def admit(self, headers: http.Headers, scope: KeyScope) -> None:
        """Refuse a request of another protocol than HTTP that shows no key for it, or finds too many others.

        Without keys everybody on this machine may ask: no browser speaks such a protocol, so no page can be led here.

        Raises
        ------
        Fault
            401 or 403 for the key, 503 for the crowd.
        """
        if not self.settings.no_keys:
            self._gate.check(headers, scope)
        self.refuse_crowd()

    def ended(  # noqa: PLR0917 - as :meth:`AccessLog.ended`
        self, request_id: bytes, scope: Scope, route: str, status: int, cause: str, seconds: float
    ) -> None:
        """Count and log a request that has ended."""
        self.metrics.ended(route, status, cause, seconds)
        self._log.ended(request_id, scope, status, cause, seconds)

    def refuse_crowd(self) -> None:
        """Refuse a request that finds too many others.

        Raises
        ------
        Fault
            503.
        """
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

    def close(self) -> None:
        """End every thread."""
        self._readers.shutdown()
        self.repository.close()


def fault_of(problem: Fault | RowsRefused | BundleRefused) -> Fault:
    """Return what the client is told; of a model that fails only that it does."""
    if isinstance(problem, Fault):
        return problem
    if isinstance(problem, RowsRefused):
        return unfit(str(problem))
    return Fault(500, "model", "the model failed on these rows; the operator finds the request by its id")
