"""The HTTP connection: uvicorn's, with limits on headers, on their time, and on the number of connections."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from steelyard.serve.limits import Limits

_BETWEEN = 4
"""Bytes of ``": "`` and the end of the line, once for each header."""


class _HeadTooLong(Exception):
    """The request line and the headers are longer than they may be."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose client cannot hold it for ever without a request, nor send headers without end."""

    limits: ClassVar[Limits] = Limits()
    _timer: asyncio.TimerHandle | None = None
    _is_head_open = True
    _head_bytes = 0
    _is_too_long = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.close()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in some bytes; where all of them belong to headers, count them."""
        super().data_received(data)
        if not self._is_head_open:
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.limits.header_bytes:
            self._is_too_long = True
            self.send_400_response("")
        elif self._timer is None and self._head_bytes:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_head_open, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the headers of a request."""
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) + _BETWEEN for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._is_too_long = True
            raise _HeadTooLong
        self._is_head_open = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too long headers, and close the connection."""
        del msg
        if self.transport.is_closing():
            return
        status, sentence = 400, "the request is no valid HTTP"
        if self._is_too_long:
            status, sentence = 431, f"the headers are longer than {self.limits.header_bytes:,} bytes"
        body = orjson.dumps({"error": sentence})
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self.limits.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Close a connection whose headers do not come to an end."""
        self._timer = None
        self.transport.close()


def protocol_with(limits: Limits) -> type[BoundedProtocol]:
    """Return the connection class that keeps some limits."""
    return type("LimitedProtocol", (BoundedProtocol,), {"limits": limits})
