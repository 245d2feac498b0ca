"""Where a log of predictions is: a file, or a database of PostgreSQL, whose password is never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from steelyard.errors import RequestInvalid

_POSTGRES = ("postgresql", "postgres")
_SQLITE = "sqlite:///"
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; as a string it shows no password."""

    path: Path | None
    """The file of SQLite; ``None`` for PostgreSQL."""
    url: str = field(repr=False)
    """With the password, for whoever connects."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else self.redacted(self.url)

    def redacted(self, text: str) -> str:
        """Return a text without the password, for messages of others that may hold it."""
        for secret in self.secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def parse_address(text: str) -> Address:
    """Read ``sqlite:///file``, a path, or ``postgresql://user@host/database``.

    Raises
    ------
    RequestInvalid
        If it is none of these.

    Examples
    --------
    >>> str(parse_address("postgresql://me:secret@db/log"))
    'postgresql://me:***@db/log'
    >>> parse_address("sqlite:///log.db").path.name
    'log.db'
    """
    scheme, between, _ = text.partition("://")
    if text.startswith(_SQLITE):
        return _file(text.removeprefix(_SQLITE))
    if not between:
        return _file(text)
    if scheme not in _POSTGRES:
        raise RequestInvalid(
            f"a log of predictions is a file, sqlite:///FILE or postgresql://..., not {scheme[:20]!r}; give one of them"
        )
    return Address(None, text, _secrets_of(text))


def _file(text: str) -> Address:
    if not text.strip() or "\0" in text or text == ":memory:":
        raise RequestInvalid("the log of predictions needs the name of a file, such as predictions.db")
    return Address(Path(text), text)


def _secrets_of(url: str) -> tuple[str, ...]:
    """Return the password as it is written, and as it is meant; longest first."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError as problem:
        raise RequestInvalid(f"the address of the log cannot be read: {problem}") from None
    found = [password] if password else []
    for part in parts.query.split("&"):
        name, _, value = part.partition("=")
        if name.lower() in {"password", "sslpassword"} and value:
            found.append(value)
    return tuple(sorted({*found, *map(unquote, found)}, key=len, reverse=True))
