"""Takes connections from the listening socket, which the workers share, so that each worker gets its part.

Whoever asks the kernel first gets a connection, and one process that is awake would take a whole burst, for as long as
the clients keep their connections. So a worker that has more of them than another one waits a moment before it takes
the next, which leaves it to the others; if they are busy it takes it then.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

from steelyard.serve.limits import Limits
from steelyard.serve.metrics import Metrics

_MOMENT = 0.002
"""Seconds that a connection may wait for a worker that has fewer."""
_REST = 0.1
"""Seconds to take nothing while the system has no file or memory left for a connection."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Takes connections until it is stopped.

    Parameters
    ----------
    listening
        The socket, not blocking.
    protocol
        Makes what handles one connection.
    metrics
        Where it stands how many connections each process has.
    tls
        How to encrypt, if at all.
    limits
        How many connections may be opening at once, and how long a client may take to begin with TLS.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        metrics: Metrics,
        *,
        tls: ssl.SSLContext | None,
        limits: Limits,
    ) -> None:
        self._listening, self._protocol = listening, protocol
        self._region, self._regions = metrics.region, metrics.board.regions
        self._tls, self._most = tls, limits.connections
        self._handshake_seconds = None if tls is None else limits.header_seconds
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._gave_way = False

    def start(self) -> None:
        """Begin to take connections."""
        self._loop.add_reader(self._listening.fileno(), self._take)

    def stop(self) -> None:
        """Take no more; what was taken goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._listening.fileno())

    @property
    def opening(self) -> int:
        """Connections that were taken and are not open yet."""
        return len(self._opening)

    def _take(self) -> None:
        if not self._gave_way and self._has_more_than_another():
            self._gave_way = True
            self._pause(_MOMENT)
            return
        self._gave_way = False
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was quicker, or the client has left
        except OSError as problem:
            if problem.errno not in _EXHAUSTED:
                raise
            self._pause(_REST)
            return
        if len(self._opening) >= self._most:
            connection.close()
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _has_more_than_another(self) -> bool:
        mine = self._region.connections + len(self._opening)
        others = (region for region in self._regions if region is not self._region)
        return any(region.is_ready and region.connections < mine for region in others)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._timer = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self.start()
        self._take()

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        except (OSError, ssl.SSLError):  # no TLS, or none in time, or the client has left
            connection.close()
