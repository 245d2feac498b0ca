"""PostgreSQL as a back end, through psycopg (extra ``postgres``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steelyard.errors import RequestInvalid, need
from steelyard.predictions.address import Address

_SETTINGS = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "steelyard",
}
"""A network that swallows packets is noticed within about 15 seconds; what the URL says itself goes before."""
_LOCK = 0x57EE1
"""Number of the advisory lock under which tables are made, so that workers that start at once do not collide."""


class Postgres:
    """How to talk to a database of PostgreSQL.

    Raises
    ------
    MissingExtra
        If psycopg is not installed.
    RequestInvalid
        If the URL has a part that PostgreSQL does not know.
    """

    serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    lock = f"SELECT pg_advisory_xact_lock({_LOCK})"

    presence = "SELECT COUNT(to_regclass('steelyard_log_schema'))"

    def __init__(self, address: Address, *, create: bool) -> None:
        self.address, self.creates = address, create
        self._psycopg = need("psycopg", for_="a log of predictions in PostgreSQL")
        try:
            self._given = self._psycopg.conninfo.conninfo_to_dict(address.url)
        except self._psycopg.ProgrammingError as problem:
            raise RequestInvalid(
                f"the address of the log cannot be read: {address.redacted(str(problem).strip())}"
            ) from None
        self.problems: tuple[type[Exception], ...] = (self._psycopg.Error, OSError)
        self.refusals: tuple[type[Exception], ...] = (
            self._psycopg.DataError,
            self._psycopg.IntegrityError,
            UnicodeEncodeError,
        )

    def connect(self) -> Any:
        """Open a connection."""
        return self._psycopg.connect(autocommit=True, **{**_SETTINGS, **self._given})

    def is_stale(self, connection: Any) -> bool:
        """Tell whether the connection is known to be lost."""
        return bool(connection.closed or connection.broken)

    @contextmanager
    def writing(self, connection: Any) -> Iterator[Any]:
        """Do all that is done inside, or nothing of it."""
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor

    def rows(self, connection: Any, sql: str, values: tuple[Any, ...]) -> list[Any]:
        """Return what a query finds."""
        found: list[Any] = connection.execute(sql, values).fetchall()
        return found

    def sql(self, text: str) -> str:
        """Return a statement in the words of psycopg."""
        return text.replace("?", "%s")
