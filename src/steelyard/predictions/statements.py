"""The statements that SQLite and PostgreSQL both understand; ``?`` stands for a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steelyard.predictions.store import Bounds, Query

FIXED_BYTES = 48
"""Of the numbers of a prediction: row, time, value, latency, size, and the place of its key."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS steelyard_log_schema (number BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS steelyard_predictions (
        request TEXT NOT NULL, row_number BIGINT NOT NULL, asked_at DOUBLE PRECISION NOT NULL,
        model TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
        decided TEXT, decided_value DOUBLE PRECISION, scores TEXT NOT NULL,
        latency DOUBLE PRECISION NOT NULL, stage TEXT NOT NULL, inputs TEXT NOT NULL, size BIGINT NOT NULL,
        PRIMARY KEY (request, row_number, model, version))""",
    "CREATE INDEX IF NOT EXISTS steelyard_predictions_by_time ON steelyard_predictions (asked_at, request, size)",
    """CREATE TABLE IF NOT EXISTS steelyard_labels (
        number {serial}, request TEXT NOT NULL, row_number BIGINT NOT NULL, label TEXT NOT NULL,
        known_at DOUBLE PRECISION NOT NULL, received_at DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS steelyard_labels_by_row ON steelyard_labels (request, row_number, number)",
    "CREATE INDEX IF NOT EXISTS steelyard_labels_by_time ON steelyard_labels (received_at)",
)
MARK = "INSERT INTO steelyard_log_schema SELECT CAST(? AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM steelyard_log_schema)"
SCHEMA = "SELECT MAX(number) FROM steelyard_log_schema"

_COLUMNS = (
    *("request", "row_number", "asked_at", "model", "version", "digest", "decided", "decided_value"),
    *("scores", "latency", "stage", "inputs", "size"),
)
_KEY = ("request", "row_number", "model", "version")
APPEND = (
    f"INSERT INTO steelyard_predictions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - names of our own
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
)
LABEL = "INSERT INTO steelyard_labels (request, row_number, label, known_at, received_at) VALUES (?, ?, ?, ?, ?)"
HISTORY = "SELECT label, known_at FROM steelyard_labels WHERE request = ? AND row_number = ? ORDER BY number"

_LATEST = """LEFT JOIN steelyard_labels l ON l.number = (
    SELECT MAX(number) FROM steelyard_labels h WHERE h.request = p.request AND h.row_number = p.row_number)"""
_DELETE = "DELETE FROM steelyard_predictions WHERE asked_at"


def known(count: int) -> str:
    """Return the query for those of so many requests and rows that have a prediction."""
    pairs = ", ".join(["(?, ?)"] * count)
    return (
        "SELECT DISTINCT request, row_number FROM steelyard_predictions "  # noqa: S608 - only marks for values are put in
        f"WHERE (request, row_number) IN (VALUES {pairs})"
    )


def read(query: Query, most: int) -> tuple[str, tuple[Any, ...]]:
    """Return the query for a page, and its values behind the five that say after which prediction it begins."""
    parts = {
        "p.asked_at >= ?": query.since,
        "p.asked_at < ?": query.until,
        "p.model = ?": query.model or None,
        "p.version = ?": query.version or None,
    }
    given = {text: value for text, value in parts.items() if value is not None}
    tests = ["(p.asked_at, p.request, p.row_number, p.model, p.version) > (?, ?, ?, ?, ?)", *given]
    if query.labelled is not None:
        tests.append(f"l.number IS {'NOT ' if query.labelled else ''}NULL")
    columns = ", ".join(f"p.{name}" for name in _COLUMNS if name != "size")
    text = (
        f"SELECT {columns}, l.label, l.known_at FROM steelyard_predictions p {_LATEST} "  # noqa: S608 - as above
        f"WHERE {' AND '.join(tests)} ORDER BY p.asked_at, p.request, p.row_number, p.model, p.version LIMIT {most}"
    )
    return text, tuple(given.values())


def prune(bounds: Bounds, now: float) -> Iterator[tuple[str, Any]]:
    """Yield the statements that delete predictions, each with its value."""
    yield f"{_DELETE} < ?", now - bounds.seconds
    newest = "SELECT asked_at FROM steelyard_predictions ORDER BY asked_at DESC LIMIT 1 OFFSET ?"
    yield f"{_DELETE} <= ({newest})", bounds.rows
    totals = "SELECT asked_at, SUM(size) OVER (ORDER BY asked_at DESC) AS total FROM steelyard_predictions"
    yield f"{_DELETE} <= (SELECT MAX(asked_at) FROM ({totals}) t WHERE total > ?)", bounds.bytes  # noqa: S608 - as above


def prune_labels(bounds: Bounds, now: float) -> Iterator[tuple[str, Any]]:
    """Yield the statements that delete labels, each with its value."""
    theirs = "SELECT 1 FROM steelyard_predictions p WHERE p.request = l.request AND p.row_number = l.row_number"
    yield (
        f"DELETE FROM steelyard_labels AS l WHERE received_at < ? AND NOT EXISTS ({theirs})",  # noqa: S608 - as above
        now - bounds.unknown_seconds,
    )
    newest = "SELECT number FROM steelyard_labels ORDER BY number DESC LIMIT 1 OFFSET ?"
    yield f"DELETE FROM steelyard_labels WHERE number <= ({newest})", bounds.rows  # noqa: S608 - as above
