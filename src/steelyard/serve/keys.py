"""Who may ask what: API keys, kept as digests, each with its scopes."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from steelyard.errors import ServingRefused, nearest
from steelyard.serve.faults import Fault

_SHORTEST = 16
_NAMED = 12
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[^\[\]:]+))(?::[0-9]{1,5})?")


class Scope(StrEnum):
    """What a key opens."""

    PREDICT = "predict"
    READ = "read"
    REVIEW = "review"
    LABEL = "label"
    ADMIN = "admin"


USUAL = frozenset({Scope.PREDICT, Scope.READ})


@dataclass(frozen=True, slots=True)
class Key:
    """The SHA-256 of a key, in hexadecimal, and what it opens. A key is long and random, so that needs no salt."""

    digest: str
    scopes: frozenset[Scope] = USUAL

    @classmethod
    def of(cls, secret: str, scopes: frozenset[Scope] = USUAL) -> Key:
        """Return what is kept of a key.

        Raises
        ------
        ServingRefused
            If it is too short to be safe from guessing, or cannot stand in a header.

        Examples
        --------
        >>> Key.of("a" * 32).scopes == {Scope.PREDICT, Scope.READ}
        True
        """
        if len(secret) < _SHORTEST or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ServingRefused(
                f"a key must have at least {_SHORTEST} printable ASCII characters and no space; "
                "leave it out, and a random one is made and printed"
            )
        return cls(hashlib.sha256(secret.encode()).hexdigest(), scopes)


def new_secret() -> str:
    """Return a random key."""
    return f"sy_{secrets.token_urlsafe(32)}"


def parse_key(text: str) -> Key:
    """Read ``KEY`` or ``SCOPE,SCOPE:KEY``.

    Raises
    ------
    ServingRefused
        If a scope is unknown, or the key is too short.

    Examples
    --------
    >>> sorted(parse_key("read,admin:" + "k" * 20).scopes)
    [<Scope.ADMIN: 'admin'>, <Scope.READ: 'read'>]
    """
    names, between, secret = text.partition(":")
    return Key.of(secret, _scopes(names)) if between else Key.of(text)


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a file of keys: a line each, the SHA-256 in hexadecimal and the scopes; ``#`` begins a comment.

    Raises
    ------
    ServingRefused
        If it cannot be read, or a line is no key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingRefused(f"the file of keys {path} cannot be read: {problem}") from None
    found = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not _DIGEST.fullmatch(words[0]):
            raise ServingRefused(f"{path}, line {number}: write the SHA-256 of a key, a space, and its scopes")
        found.append(Key(words[0], _scopes(words[1])))
    return tuple(found)


def _scopes(names: str) -> frozenset[Scope]:
    known = [scope.value for scope in Scope]
    for name in names.split(","):
        if name not in known:
            raise ServingRefused(f"{name!r} is no scope{nearest(name, known)}; there are {', '.join(known)}")
    return frozenset(map(Scope, names.split(",")))


class Gate:
    """Lets in who shows a key that opens a scope."""

    __slots__ = ("_keys", "_open")

    def __init__(self, keys: Iterable[Key], *, is_open: bool = False) -> None:
        self._open = is_open
        self._keys = tuple((key.digest, frozenset(Scope) if Scope.ADMIN in key.scopes else key.scopes) for key in keys)

    def check(self, headers: Mapping[bytes, bytes], scope: Scope) -> None:
        """Refuse a request whose key does not open a scope.

        Raises
        ------
        Fault
            401 without a known key, 403 if it does not open this. Without any keys, 403 where the ``Host`` is not this
            machine by a loopback name: a page of the web may have its own name lead here (DNS rebinding).
        """
        if self._open:
            if not is_of_this_machine(headers.get(b"host", b"")):
                raise Fault(
                    403, "host", "without keys only requests to a loopback name, such as localhost, are answered"
                )
            return
        shown = _shown(headers)
        if shown is None:
            raise Fault(401, "no_key", "give a key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
        digest, found = hashlib.sha256(shown).hexdigest(), None
        for known, scopes in self._keys:  # all of them, so that time does not tell which one was near
            if hmac.compare_digest(known, digest):
                found = scopes
        if found is None:
            raise Fault(401, "no_key", "the key is not known here; ask the operator for one")
        if scope not in found:
            raise Fault(403, "scope", f"the key does not open {scope.value!r}; ask the operator for one that does")


def who(headers: Mapping[bytes, bytes]) -> str:
    """Return what a log may know of who asks: the first digits of the digest of the key, as in a file of keys."""
    shown = _shown(headers)
    return hashlib.sha256(shown).hexdigest()[:_NAMED] if shown else "anybody"


def _shown(headers: Mapping[bytes, bytes]) -> bytes | None:
    bearer = headers.get(b"authorization")
    if bearer is None:
        return headers.get(b"x-api-key")
    return bearer[7:].strip() if bearer[:7].lower() == b"bearer " else None


@lru_cache(maxsize=64)
def is_of_this_machine(host: bytes) -> bool:
    """Tell whether a ``Host`` header names this machine by a loopback name or address.

    Examples
    --------
    >>> [is_of_this_machine(host) for host in (b"localhost:8000", b"127.0.0.1", b"[::1]:80", b"evil.example:8000", b"")]
    [True, True, True, False, False]
    """
    found = _HOST.fullmatch(host.decode("latin-1"))
    name = (found["bracketed"] or found["plain"]) if found else ""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
