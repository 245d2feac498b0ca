"""Rows that wait for a person, and what persons said of them: one SQLite file that several processes share.

Writes are committed before anybody is told of them (WAL, ``synchronous=FULL``), so that a process may be killed at any
instant. Parked rows are bounded in number, size and age; labels are kept until somebody deletes the file.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from steelyard.errors import ServingRefused

_WAIT = 0.5
"""Seconds to wait for another process that writes."""
_PAGE_BYTES = 8 * 2**20
_DAY = 86_400.0
_LAYOUT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  parked REAL NOT NULL,
  request TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  target TEXT NOT NULL,
  inputs BLOB NOT NULL,
  provisional BLOB NOT NULL,
  size INTEGER NOT NULL,
  label TEXT,
  who TEXT,
  answered REAL
);
CREATE INDEX IF NOT EXISTS by_state ON reviews (state, number, size, parked);
"""


class State(StrEnum):
    """What became of a parked row."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A row for a person; ``inputs`` by column, ``provisional`` what the bundle said of it, both as plain JSON."""

    request: str
    model: str
    version: str
    digest: str
    target: str
    inputs: Mapping[str, Any]
    provisional: Mapping[str, Any]


class Reviews:
    """The file. An object is used by one thread at a time.

    Parameters
    ----------
    path
        The file; it is made where it is not there.
    most, megabytes
        Rows that may be parked at once, and the MiB that they may come to.
    days
        Age at which a parked row is given up.

    Raises
    ------
    ServingRefused
        If the file cannot be written, or is something else.
    """

    def __init__(self, path: Path, *, most: int, megabytes: int, days: float) -> None:
        self._most, self._bytes, self._seconds = most, megabytes * 2**20, days * _DAY
        self.seen = 0
        """Rows that waited when the file was last looked at."""
        self._path = path
        self._open: sqlite3.Connection | None = None
        try:
            path.touch(mode=0o600)  # nobody else's to read; SQLite gives the files beside it the same mode
            layout = self._line.execute("PRAGMA user_version").fetchone()[0]
            if layout > _LAYOUT:
                raise ServingRefused(f"the reviews in {path} were written by a newer Steelyard; upgrade steelyard")
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._line.execute(statement)
                self._line.execute(f"PRAGMA user_version={_LAYOUT}")
        except (sqlite3.Error, OSError) as problem:
            raise ServingRefused(
                f"the reviews cannot be kept in {path}: {problem}; name another file as person.database"
            ) from None
        finally:
            self.close()

    @property
    def _line(self) -> sqlite3.Connection:
        """The connection, made when it is first needed: it must not be carried over a fork of the process."""
        if self._open is None:
            line = sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            line.execute("PRAGMA journal_mode=WAL")
            line.execute("PRAGMA synchronous=FULL")
            self._open = line
        return self._open

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._line.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has ended the transaction already
                self._line.execute("ROLLBACK")
            raise
        self._line.execute("COMMIT")

    def park(self, rows: Sequence[Parked], *, now: float) -> list[str | None]:
        """Park rows as far as there is room; return the ticket of each, or ``None``.

        Raises
        ------
        sqlite3.Error
            If nothing could be written.
        """
        tickets: list[str | None] = []
        with self._transaction():
            count, size = self._room()
            for row in rows:
                inputs, provisional = orjson.dumps(row.inputs), orjson.dumps(row.provisional)
                grown = size + len(inputs) + len(provisional)
                if count >= self._most or grown > self._bytes:
                    tickets.append(None)
                    continue
                tickets.append(self._insert(row, inputs, provisional, now))
                count, size = count + 1, grown
        self.seen = count
        return tickets

    def _insert(self, row: Parked, inputs: bytes, provisional: bytes, now: float) -> str:
        ticket = secrets.token_urlsafe(12)
        self._line.execute(
            "INSERT INTO reviews"
            " (id, state, parked, request, model, version, digest, target, inputs, provisional, size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(ticket, State.OPEN, now, row.request, row.model, row.version, row.digest, row.target),
                *(inputs, provisional, len(inputs) + len(provisional)),
            ),
        )
        return ticket

    def _room(self) -> tuple[int, int]:
        found = self._line.execute("SELECT count(*), coalesce(sum(size), 0) FROM reviews WHERE state = 'open'")
        self.seen, size = found.fetchone()
        return self.seen, size

    def parked(self) -> int:
        """Return how many rows wait."""
        return self._room()[0]

    def expire(self, *, now: float) -> int:
        """Give up rows that waited for too long, and forget their inputs; return how many."""
        oldest = now - self._seconds
        stale = self._line.execute("SELECT 1 FROM reviews WHERE state = 'open' AND parked < ? LIMIT 1", (oldest,))
        if stale.fetchone() is None:
            return 0
        with self._transaction():
            found = self._line.execute(
                "UPDATE reviews SET state = 'expired', inputs = x'7b7d', size = 0 WHERE state = 'open' AND parked < ?",
                (oldest,),
            )
        return found.rowcount

    def page(self, state: State, *, after: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return rows of a state, oldest first, after a number; and the number to go on after, if there are more."""
        found = self._line.execute(
            "SELECT * FROM reviews WHERE state = ? AND number > ? ORDER BY number LIMIT ?", (state, after, limit + 1)
        )
        names = [column[0] for column in found.description]
        rows: list[dict[str, Any]] = []
        room = _PAGE_BYTES
        for values in found:
            row = dict(zip(names, values, strict=True))
            if len(rows) == limit or (rows and row["size"] > room):
                return [told(each) for each in rows], rows[-1]["number"]
            room -= row["size"]
            rows.append(row)
        return [told(row) for row in rows], None

    def one(self, ticket: str) -> dict[str, Any] | None:
        """Return a row by its ticket."""
        found = self._line.execute("SELECT * FROM reviews WHERE id = ?", (ticket,))
        values = found.fetchone()
        return None if values is None else told(dict(zip((c[0] for c in found.description), values, strict=True)))

    def decide(self, ticket: str, label: str, who: str, *, now: float) -> bool:
        """Keep what a person said of an open row; ``False`` where it is not open (any more)."""
        with self._transaction():
            found = self._line.execute(
                "UPDATE reviews SET state = 'answered', label = ?, who = ?, answered = ?"
                " WHERE id = ? AND state = 'open'",
                (label, who, now, ticket),
            )
        return found.rowcount == 1


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as clients and reviewers see it."""
    shown = {name: row[name] for name in ("id", "number", "state", "parked", "model", "version", "digest", "request")}
    shown |= {"target": row["target"], "inputs": orjson.loads(row["inputs"])}
    shown["provisional"] = orjson.loads(row["provisional"])
    if row["state"] == State.ANSWERED:
        shown |= {"stage": "person", "label": row["label"], "who": row["who"], "answered": row["answered"]}
    return shown
