"""The HTTP connection: uvicorn's, with limits on headers, on times, and on the number of connections."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from steelyard.serve.limits import Limits
from steelyard.serve.metrics import Labelled, Metrics

_BETWEEN = 4
"""Bytes of ``": "`` and the end of the line, once for each header."""


class _HeadTooLong(Exception):
    """The request line and the headers are longer than they may be."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose client cannot hold it for ever, by what it does not send or by what it does not read.

    While the server drains, every answer says that it is the last of its connection, and a connection without a request
    is left to its client for a while: closing it could cut off a request that is on its way.
    """

    limits: ClassVar[Limits] = Limits()
    metrics: ClassVar[Metrics]
    closed: ClassVar[Labelled]
    """Connections that the server closed, by cause."""
    is_draining: ClassVar[bool] = False
    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    """Ends the connection of a client that does not read."""
    _is_head_open = True
    _head_bytes = 0
    _is_too_long = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self.metrics.region.connections = len(self.connections)
        if len(self.connections) > self.limits.connections:
            self.closed["crowd",].add()
            transport.close()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)
        self.metrics.region.connections = len(self.connections)

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
        if self.is_draining:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too long headers, and close the connection."""
        del msg
        if self.transport.is_closing():
            return
        status, sentence = 400, "the request is no valid HTTP"
        self.closed["long_headers" if self._is_too_long else "no_http",].add()
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
        self.closed["slow_headers",].add()
        self.transport.close()

    def on_response_complete(self) -> None:
        """End a request; one whose connection ends with it must still be taken by the client."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_for_reader()

    def pause_writing(self) -> None:
        """Wait for a client that does not take what was sent, but not for ever."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        self._is_read()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was not used; what its client has not taken until now, it never will."""
        if self.transport.get_write_buffer_size():
            self._give_up_writing()
        else:
            super().timeout_keep_alive_handler()

    def drain(self) -> None:
        """Make the request that is worked on the last one."""
        if not self.is_idle and self.cycle is not None:
            self.cycle.keep_alive = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is worked on."""
        return self.cycle is None or self.cycle.response_complete

    def shutdown(self) -> None:
        """Close the connection unless a request is worked on or arriving."""
        if not (self.is_idle and self._is_head_open and self._head_bytes):
            super().shutdown()

    def _wait_for_reader(self) -> None:
        if self._reading is None:
            self._reading = self.loop.call_later(self.limits.write_seconds, self._give_up_writing)

    def _is_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up_writing(self) -> None:
        self.closed["not_read",].add()
        self.transport.abort()


def protocol_with(limits: Limits, metrics: Metrics) -> type[BoundedProtocol]:
    """Return the connection class that keeps some limits and counts what it closes."""
    closed = Labelled(metrics, "steelyard_connections_closed_total", "Connections that the server closed.", "cause")
    return type("LimitedProtocol", (BoundedProtocol,), {"limits": limits, "metrics": metrics, "closed": closed})
