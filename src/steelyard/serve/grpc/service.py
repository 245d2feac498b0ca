"""Calls on their way: let in, read, answered and counted one by one, as requests over HTTP are.

Every call is taken as a stream of requests, also those that have one: on the wire that is the same, and here it lets a
key be looked at before the message is read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc
from grpc import aio

from steelyard.errors import BundleRefused, RowsRefused
from steelyard.serve import http
from steelyard.serve.app import LEFT, App, fault_of
from steelyard.serve.batching import ClientLeft
from steelyard.serve.faults import Fault, malformed, overloaded
from steelyard.serve.grpc.calls import CALLS, CHECK, INFER, Call, Caller, infer
from steelyard.serve.grpc.messages import HEALTH, SERVICE, InferRequest, InferResponse, StreamResponse
from steelyard.serve.grpc.status import code_of, trailers_of
from steelyard.serve.grpc.tensors import decoded
from steelyard.serve.keys import Scope

_T = TypeVar("_T")
_LOGGER = logging.getLogger("steelyard.serve")
_STREAM = f"/{SERVICE}/ModelStreamInfer"


class Turn(Generic[_T]):
    """One request from its beginning to its end: in flight while it is worked on, counted and logged after that."""

    __slots__ = ("_app", "_began", "_path", "_route", "fault", "id")

    def __init__(self, app: App, route: str, path: str, request_id: bytes = b"") -> None:
        self._app, self._route, self._path, self.id = app, route, path, request_id
        self._began = time.perf_counter()
        self.fault: Fault | None = None

    async def take(self, work: Awaitable[_T]) -> _T | None:
        """Do the work; where it ends without an answer, :attr:`fault` says why.

        Raises
        ------
        CancelledError
            If the client has left: there is nobody to answer.
        """
        status, cause = LEFT, "client_left"
        self._app.flew(1)
        try:
            answered = await work
        except ClientLeft:
            raise asyncio.CancelledError from None
        except (Fault, RowsRefused, BundleRefused) as problem:
            if isinstance(problem, BundleRefused):
                _LOGGER.exception("request %s", self.id.decode("latin-1"))
            self.fault = fault_of(problem)
        except Exception:  # gRPC would tell the client what it says
            _LOGGER.exception("request %s", self.id.decode("latin-1"))
            self.fault = Fault(500, "internal", "the server failed; the operator finds the request by its id")
        else:
            status, cause = 200, ""
            return answered
        finally:
            if self.fault is not None:
                status, cause = self.fault.status, self.fault.cause
            self._app.flew(-1)
            seconds = time.perf_counter() - self._began
            self._app.ended(self.id, {"method": "GRPC", "path": self._path}, self._route, status, cause, seconds)
        return None

    def caller(self, context: Any) -> Caller:
        """Return who calls.

        Raises
        ------
        Fault
            If metadata that decides about the call comes twice.
        """
        headers = http.headers_of((name.encode(), _bytes(value)) for name, value in context.invocation_metadata())
        self.id = self._app.id_of(headers)
        return Caller(context, headers, self.id)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Finds what answers a path; of one that is not known gRPC says that it is not implemented."""

    def __init__(self, app: App) -> None:
        self._app, self._streams = app, 0
        self._closing = asyncio.get_running_loop().create_future()
        unary, stream = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        self._handlers = {f"/{SERVICE}/{name}": unary(self._answering(name, call)) for name, call in CALLS.items()}
        self._handlers[f"/{HEALTH}/Check"] = unary(self._answering("Check", CHECK, of=HEALTH))
        self._handlers[_STREAM] = stream(self._stream)

    def close(self) -> None:
        """Have streams end that wait for their next request."""
        if not self._closing.done():
            self._closing.set_result(None)

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call."""
        found = self._handlers.get(handler_call_details.method)
        if found is None:
            self._app.metrics.ended("grpc_other", 404, "not_found", 0.0)
        return found

    def _answering(self, name: str, call: Call, *, of: str = SERVICE) -> Callable[[Any, Any], Awaitable[bytes | None]]:
        async def answer(messages: Any, context: Any) -> bytes | None:
            del messages  # they are read from the context
            turn: Turn[bytes] = Turn(self._app, call.route, f"/{of}/{name}")
            answered = await turn.take(self._one(turn, call, context))
            if turn.fault is not None:
                await _refuse(context, turn.fault, turn.id)
            context.set_trailing_metadata((("x-request-id", turn.id.decode("latin-1")),))
            return answered

        return answer

    async def _one(self, turn: Turn[bytes], call: Call, context: Any) -> bytes:
        caller = turn.caller(context)
        if call.scope is not None:
            self._app.admit(caller.headers, call.scope)
        seconds = self._app.settings.limits.body_seconds
        try:
            async with asyncio.timeout(seconds):
                raw = await context.read()
        except TimeoutError:
            raise Fault(408, "too_slow", f"the message did not arrive within {seconds:g} seconds") from None
        if raw is aio.EOF:
            most = self._app.settings.limits.body_bytes  # gRPC itself has answered a longer one, and tells nobody here
            raise malformed(f"the call holds no message, or one that is longer than {most:,} bytes")
        caller.size = len(raw)
        request = await self._app.apart(caller.size, decoded, call.takes, raw)
        return await call.answer(self._app, request, caller)

    async def _stream(self, messages: Any, context: Any) -> None:
        """Answer the requests of a stream one after the other; a fault of one does not end the stream."""
        del messages
        entry: Turn[Caller] = Turn(self._app, "grpc_stream", _STREAM)
        caller = await entry.take(self._enter(entry, context))
        if entry.fault is not None:
            await _refuse(context, entry.fault, entry.id)
        if caller is None:
            return
        self._streams += 1
        try:
            while (raw := await self._next(context)) is not None:
                turn: Turn[bytes] = Turn(self._app, INFER, _STREAM, caller.id)
                answered = await turn.take(self._one_of_stream(raw, caller))
                await context.write(answered if turn.fault is None else _said(turn.fault, raw))
        finally:
            self._streams -= 1

    async def _enter(self, turn: Turn[Caller], context: Any) -> Caller:
        caller = turn.caller(context)
        self._app.admit(caller.headers, Scope.PREDICT)
        most = self._app.settings.limits.connections
        if self._streams >= most:
            raise overloaded("crowd", f"{most:,} streams are open already; try again in a second")
        return caller

    async def _next(self, context: Any) -> bytes | None:
        """Return the next request of a stream, or nothing if it has ended, stood still too long, or shall end."""
        reading = asyncio.ensure_future(context.read())
        wait = self._app.settings.keep_alive_seconds
        try:
            await asyncio.wait((reading, self._closing), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not reading.done():
                reading.cancel()
        if not reading.done():
            return None
        raw = reading.result()
        return None if raw is aio.EOF else raw

    async def _one_of_stream(self, raw: bytes, caller: Caller) -> bytes:
        self._app.refuse_crowd()
        caller.size = len(raw)
        request = await self._app.apart(caller.size, decoded, InferRequest, raw)
        answer = InferResponse.FromString(await infer(self._app, request, caller))
        told: bytes = StreamResponse(infer_response=answer).SerializeToString()
        return told


async def _refuse(context: Any, fault: Fault, request_id: bytes) -> None:
    """End a call with a status that is not OK."""
    await context.abort(code_of(fault), http.sayable(fault.sentence), trailers_of(fault, request_id))


def _said(fault: Fault, raw: bytes) -> bytes:
    """Return the message of a stream that says why one of its requests has no answer, with that one's id."""
    try:
        request_id = decoded(InferRequest, raw).id
    except Fault:
        request_id = ""
    said = StreamResponse(error_message=http.sayable(fault.sentence), infer_response=InferResponse(id=request_id))
    encoded: bytes = said.SerializeToString()
    return encoded
