"""SQLite as a back end: one file, a write-ahead log, so that readers and the writer never wait for each other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

from steelyard.predictions.address import Address
from steelyard.predictions.store import StoreUnavailable

_PATIENCE = 5.0
"""Seconds to wait for another writer."""


class Sqlite:
    """How to talk to a file of SQLite."""

    problems: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    refusals: tuple[type[Exception], ...] = (
        sqlite3.IntegrityError,
        sqlite3.DataError,
        sqlite3.InterfaceError,
        sqlite3.ProgrammingError,
        UnicodeEncodeError,
        OverflowError,
    )
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT"
    lock = ""
    presence = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'steelyard_log_schema'"

    def __init__(self, address: Address, *, create: bool) -> None:
        self.address, self.creates = address, create
        self._identity: tuple[int, int] | None = None

    def connect(self) -> Any:
        """Open the file.

        Raises
        ------
        StoreUnavailable
            If there is none and it must not be made.
        """
        path = self.address.path
        assert path is not None
        if not self.creates and not path.is_file():
            raise StoreUnavailable(f"there is no log of predictions at {path}; name the file that --log wrote")
        if self.creates:  # others of the machine shall not read what people asked about
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        place = f"file:{quote(str(path.absolute()))}?mode={'rwc' if self.creates else 'rw'}"
        opened = sqlite3.connect(
            place, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            opened.execute("PRAGMA journal_mode=WAL")
            opened.execute("PRAGMA synchronous=NORMAL")
            found = path.stat()
        except self.problems:
            opened.close()
            raise
        self._identity = (found.st_dev, found.st_ino)
        return opened

    def is_stale(self, connection: Any) -> bool:
        """Tell whether the file was moved or deleted since it was opened: what is written would be lost."""
        del connection
        assert self.address.path is not None
        try:
            found = self.address.path.stat()
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self._identity

    @contextmanager
    def writing(self, connection: Any) -> Iterator[Any]:
        """Do all that is done inside, or nothing of it."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            with closing(connection.cursor()) as cursor:
                yield cursor
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def rows(self, connection: Any, sql: str, values: tuple[Any, ...]) -> list[Any]:
        """Return what a query finds."""
        found: list[Any] = connection.execute(sql, values).fetchall()
        return found

    def sql(self, text: str) -> str:
        """Return a statement in the words of SQLite."""
        return text
