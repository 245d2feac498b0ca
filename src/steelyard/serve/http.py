"""Requests and replies over plain ASGI: a body read within its limits, an answer sent in two messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from steelyard.serve.faults import Fault, malformed, too_large
from steelyard.serve.limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]

JSON = b"application/json"
_DIGITS = 18
"""Of a number in a header; longer ones are not even read."""


class Disconnected(Exception):
    """The client closed the connection before its request was read."""


@dataclass(slots=True)
class Request:
    """One request; the body is read when it is asked for."""

    method: str
    path: str
    headers: Headers
    receive: Receive
    id: str
    query: bytes = b""

    def has_left(self) -> bool:
        """Tell whether the client has closed the connection since its body was read."""
        message = self._at_once()
        return message is not None and message["type"] == "http.disconnect"

    def _at_once(self) -> Message | None:
        """Return the next message if it is there already.

        One step of the server's ``receive`` tells: it ends, or it would wait and is called off.
        """
        step = self.receive()
        try:
            step.send(None)  # type: ignore[attr-defined]  # ASGI's receive is a coroutine function
        except StopIteration as end:
            message: Message = end.value
            return message
        step.close()  # type: ignore[attr-defined]
        return None

    def promised(self, limits: Limits) -> int:
        """Return how many bytes the body may have, by its headers."""
        length = self.headers.get(b"content-length")
        return int(length) if length and length.isdigit() and len(length) <= _DIGITS else limits.body_bytes

    async def body(self, limits: Limits) -> bytes:
        """Read the body.

        Raises
        ------
        Fault
            If it is too large, too slow, or encoded.
        Disconnected
            If it does not come to its end.
        """
        _refuse_early(self.headers, limits)
        message = self._at_once()
        if message is not None and message["type"] == "http.request" and not message.get("more_body", False):
            part: bytes = message.get("body", b"")
            if len(part) > limits.body_bytes:
                raise _too_long(limits)
            return part  # the whole body came with the headers: no clock is needed, which would cost a tenth of all
        try:
            async with asyncio.timeout(limits.body_seconds):
                return await self._rest(message or await self.receive(), limits)
        except TimeoutError:
            sentence = f"the body did not arrive within {limits.body_seconds:g} seconds"
            raise Fault(408, "too_slow", sentence, close=True) from None

    async def _rest(self, message: Message, limits: Limits) -> bytes:
        parts: list[bytes] = []
        size = 0
        while message["type"] == "http.request":
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limits.body_bytes:
                raise _too_long(limits)
            if not message.get("more_body", False):
                return b"".join(parts)
            message = await self.receive()
        raise Disconnected


def _refuse_early(headers: Headers, limits: Limits) -> None:
    """Refuse a body by its headers, before a byte of it is read."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > _DIGITS or int(length) > limits.body_bytes):
        raise _too_long(limits)
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise Fault(415, "encoding", "compressed bodies are not read here; send it as it is", close=True)


def _too_long(limits: Limits) -> Fault:
    return too_large(f"the body is longer than {limits.body_bytes:,} bytes; send fewer rows at once", close=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client gets."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_reply(data: object, status: int = 200) -> Reply:
    """Return a reply of JSON; NaN and infinity become ``null``."""
    return Reply(status, orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY))


def fault_reply(fault: Fault) -> Reply:
    """Return the reply to a request that is refused."""
    headers: list[tuple[bytes, bytes]] = []
    if fault.retry_after is not None:
        headers.append((b"retry-after", b"%d" % fault.retry_after))
    if fault.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if fault.allow:
        headers.append((b"allow", ", ".join(fault.allow).encode()))
    if fault.close:
        headers.append((b"connection", b"close"))
    return Reply(fault.status, orjson.dumps({"error": sayable(fault.sentence)}), JSON, tuple(headers))


def sayable(sentence: str) -> str:
    """Return a sentence that UTF-8 can carry; half a character of a client's name is shown as an escape."""
    return sentence.encode("utf-8", "backslashreplace").decode()


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers by name, in lower case as ASGI gives them.

    Raises
    ------
    Fault
        If one that decides about the request comes twice with different values.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in headers and headers[name] != value and name in _DECIDING:
            raise malformed(f"the header {name.decode('latin-1')!r} comes twice; send it once")
        headers[name] = value
    return headers


_DECIDING = frozenset({b"authorization", b"x-api-key", b"content-length", b"inference-header-content-length"})


async def send_reply(send: Send, reply: Reply, request_id: bytes) -> None:
    """Send a reply."""
    headers = [
        (b"content-type", reply.kind),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
