"""Where the load goes: an address, taken apart and checked."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from steelyard.errors import RequestInvalid, ServerRefused, ServerUnreachable

_PATIENCE = 10.0
"""Seconds to wait for metadata."""
_MOST_BYTES = 16_000_000
_MOST_SAID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server: host, port, the path before its own paths, and the key to show it."""

    host: str
    port: int
    prefix: str = ""
    tls: ssl.SSLContext | None = None
    key: str = ""

    @classmethod
    def parse(cls, url: str, *, key: str = "", ca: str = "") -> Target:
        """Read ``http://HOST:PORT`` or ``https://HOST``; ``ca`` is a file of certificates to trust instead.

        Raises
        ------
        RequestInvalid
            If it is not such an address, or the key cannot stand in a header.

        Examples
        --------
        >>> Target.parse("http://127.0.0.1:8080/models/").prefix
        '/models'
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError as problem:
            raise RequestInvalid(f"{url!r} is no address: {problem}") from problem
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise RequestInvalid(f"{url!r} is no address of a server; write for example http://127.0.0.1:8080")
        if not (key.isascii() and key.isprintable()):
            raise RequestInvalid("the key holds characters that a header cannot carry; copy it again")
        tls = _context(ca) if parts.scheme == "https" else None
        known = port if port is not None else 443 if tls else 80
        return cls(host=parts.hostname, port=known, prefix=parts.path.rstrip("/"), tls=tls, key=key)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.prefix}"

    def head(self, path: str, length: int, *extra: str, kind: str = "application/json") -> bytes:
        """Return the head of a POST whose body has ``length`` bytes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"POST {self.prefix}{path} HTTP/1.1", f"Host: {host}:{self.port}", f"Content-Type: {kind}", *extra]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def get(self, path: str) -> Any:
        """Return the JSON that the server answers to a GET.

        Raises
        ------
        ServerUnreachable
            If it does not answer.
        ServerRefused
            If it answers no, or no JSON.
        """
        made = (
            http.client.HTTPSConnection(self.host, self.port, timeout=_PATIENCE, context=self.tls)
            if self.tls
            else http.client.HTTPConnection(self.host, self.port, timeout=_PATIENCE)
        )
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            made.request("GET", self.prefix + path, headers=headers)
            answer = made.getresponse()
            body = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as problem:
            raise unreachable(self, problem) from problem
        finally:
            made.close()
        return _read(f"GET {self.prefix}{path}", answer.status, body)

    def _line(self) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), _PATIENCE)
        return self.tls.wrap_socket(plain, server_hostname=self.host) if self.tls else plain

    def probe(self, message: bytes) -> None:
        """Send one request ahead of a load, so that a wrong key or wrong rows are told at once.

        Raises
        ------
        ServerUnreachable
            If it is not answered.
        ServerRefused
            If the answer is no; the message holds the server's own words.
        """
        try:
            with self._line() as line:
                line.sendall(message)
                answer = http.client.HTTPResponse(line, method="POST")
                answer.begin()
                body = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as problem:
            raise unreachable(self, problem) from problem
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise _refused("the first request", answer.status, body)


def unreachable(target: Target, problem: BaseException) -> ServerUnreachable:
    """Return the error to raise where no connection can be made."""
    return ServerUnreachable(
        f"{target} cannot be reached ({problem or type(problem).__name__}); is the server running?"
    )


def _context(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as problem:
        raise RequestInvalid(f"{ca} holds no certificates in PEM: {problem}") from problem


def _read(what: str, status: int, body: bytes) -> Any:
    if status != HTTPStatus.OK:
        raise _refused(what, status, body)
    try:
        return json.loads(body)
    except ValueError as problem:
        raise ServerRefused(f"{what} was answered with something that is no JSON") from problem


def _refused(what: str, status: int, body: bytes) -> ServerRefused:
    said = body[:_MOST_SAID].decode("utf-8", "replace").strip()
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        said += "; give a key with --key, or in STEELYARD_KEY"
    return ServerRefused(f"{what} was answered with {status}: {said}")
