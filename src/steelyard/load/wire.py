"""Keep-alive connections of one load, and what became of each request."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import httptools

from steelyard.load.target import Target, unreachable

PENDING, TIMED_OUT, LOST, NO_CONNECTION = 0, -1, -2, -3
"""What stands in place of a status of HTTP where there is none."""
_DIALLING = 2.0
"""Seconds to wait for each connection before the load begins."""
_SWEEPS = 0.05
"""Seconds between two looks for requests that wait too long."""


class Log:
    """When each request was planned, taken up and answered, on the monotonic clock, and with what status."""

    __slots__ = ("done", "planned", "status", "taken")

    def __init__(self) -> None:
        self.planned: list[float] = []
        self.taken: list[float] = []
        self.done: list[float] = []
        self.status: list[int] = []

    def plan(self, moments: list[float]) -> None:
        """Plan requests for these moments."""
        self.planned += moments
        self.taken += [0.0] * len(moments)
        self.done += [0.0] * len(moments)
        self.status += [PENDING] * len(moments)

    def add(self, moment: float) -> int:
        """Plan one more request for ``moment`` and return its number (closed loop)."""
        self.planned.append(moment)
        self.taken.append(moment)
        self.done.append(0.0)
        self.status.append(PENDING)
        return len(self.planned) - 1


class Connection(asyncio.Protocol):
    """One connection, with at most one request on its way."""

    __slots__ = ("_parser", "_pool", "_transport", "number")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the pool."""
        self._transport = cast("asyncio.Transport", transport)
        self._pool.opened(self)

    def send(self, number: int, message: bytes) -> None:
        """Send request ``number``."""
        self.number = number
        if self._transport is not None:
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # what follows cannot be understood: the request on its way is lost
            self.abort()

    def on_message_complete(self) -> None:
        """Take an answer that has come in full (called by the parser)."""
        status = self._parser.get_status_code()
        number, self.number = self.number, -1
        lasting = self._parser.should_keep_alive()
        self._pool.answered(self, number, status, lasting=lasting)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """Leave the pool."""
        self._pool.closed(self)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class Pool:
    """Connections to one server: a request takes a free one, or a new one, or waits where there are ``most``."""

    def __init__(self, target: Target, messages: Sequence[bytes], log: Log, *, most: int, timeout: float) -> None:
        self._target, self._messages, self._log = target, messages, log
        self._most, self._timeout = most, timeout
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._waiting: deque[int] = deque()
        self._flying: dict[int, Connection] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEPS, self._sweep)
        self._ended = False
        self.widest = 0
        self.on_end: Callable[[int], None] | None = None

    async def connect(self, number: int) -> None:
        """Open ``number`` connections before the load begins.

        Raises
        ------
        ServerUnreachable
            If one cannot be opened.
        """
        loop = asyncio.get_running_loop()
        try:
            for _ in range(number):
                await asyncio.wait_for(self._dial(loop), _DIALLING)
        except (OSError, TimeoutError) as problem:
            self.close()
            raise unreachable(self._target, problem) from problem

    async def _dial(self, loop: asyncio.AbstractEventLoop) -> None:
        target = self._target
        await loop.create_connection(lambda: Connection(self), target.host, target.port, ssl=target.tls)

    def ask(self, number: int) -> None:
        """Send request ``number`` now, or as soon as there is a connection for it."""
        self._quiet.clear()
        if self._free:
            self._send(self._free.pop(), number)
        else:
            self._waiting.append(number)
            self._widen()

    def _widen(self) -> None:
        """Open as many connections as are missing and allowed."""
        while len(self._all) + len(self._opening) < self._most and len(self._opening) < len(self._waiting):
            task = asyncio.ensure_future(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            await self._dial(asyncio.get_running_loop())
        except OSError:
            if self._waiting:
                self.settle(self._waiting.popleft(), NO_CONNECTION)

    def _send(self, connection: Connection, number: int) -> None:
        self._flying[number] = connection
        connection.send(number, self._messages[number % len(self._messages)])

    def opened(self, connection: Connection) -> None:
        """Take in a new connection."""
        if self._ended:
            connection.abort()
            return
        self._all.add(connection)
        self.widest = max(self.widest, len(self._all))
        self._next(connection)

    def _next(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def answered(self, connection: Connection, number: int, status: int, *, lasting: bool) -> None:
        """Take an answer; the connection goes on to whatever waits."""
        self._flying.pop(number, None)
        if lasting and number >= 0:
            self._next(connection)
        else:  # it ends here, or answered what nobody asked
            connection.abort()
        if number >= 0:
            self.settle(number, status)

    def settle(self, number: int, status: int) -> None:
        """Write down how a request ended."""
        self._log.done[number] = time.monotonic()
        self._log.status[number] = status
        if self.on_end is not None:
            self.on_end(status)
        if not self._flying and not self._waiting:
            self._quiet.set()

    def closed(self, connection: Connection) -> None:
        """Forget a connection; the request on it is lost."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if connection.number >= 0 and self._flying.pop(connection.number, None) is not None:
            self.settle(connection.number, LOST)
        if not self._ended:
            self._widen()

    def _sweep(self) -> None:
        """Give up on requests whose time is over, counted from when they were planned."""
        late = time.monotonic() - self._timeout
        while self._waiting and self._log.planned[self._waiting[0]] < late:
            self.settle(self._waiting.popleft(), TIMED_OUT)
        for number, connection in list(self._flying.items()):
            if self._log.planned[number] < late:
                del self._flying[number]
                connection.number = -1
                connection.abort()
                self.settle(number, TIMED_OUT)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEPS, self._sweep)

    async def quiet(self) -> None:
        """Wait until every request asked so far has ended."""
        while self._flying or self._waiting:
            await self._quiet.wait()

    def close(self) -> None:
        """Close every connection."""
        self._ended = True
        self._sweeper.cancel()
        for task in self._opening:
            task.cancel()
        for connection in list(self._all):
            connection.abort()
