"""A server that does nothing but answer: what the generator is measured against.

It runs in a process of its own, prints its port, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import httptools
import uvloop

from steelyard.load.target import Target

_BODY = b'{"predictions":[{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}],"model":"none","version":"0"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n"
) + _BODY


class Answering(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection in."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        """Answer (called by the parser)."""
        self._transport.write(ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Answer until standard input is closed."""
    uvloop.run(_serve())


@contextmanager
def responder() -> Iterator[Target]:
    """Run the responder in a process of its own."""
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - this very file
        assert child.stdout is not None
        try:
            yield Target(host="127.0.0.1", port=int(child.stdout.readline()))
        finally:
            assert child.stdin is not None
            child.stdin.close()
