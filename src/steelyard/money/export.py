"""The lines of a ledger as CSV or Parquet, no digit lost."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from steelyard.errors import RunUnwritable, need
from steelyard.money.ledger import Entry

COLUMNS = (
    "kind",
    "what",
    "quantity",
    "low",
    "high",
    "unit",
    "unit_price",
    "amount",
    "currency",
    "how",
    "source",
    "trial",
    "lever",
)
DECIMALS = ("quantity", "low", "high", "unit_price", "amount")
PRECISION = 38
"""Digits of a Parquet decimal, the most there may be."""


def lines(entries: Iterable[Entry], levers: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return one dict a line of the ledger, in the order in which they were written; amounts are exact."""
    return [
        {
            "kind": e.kind.value,
            "what": e.what,
            "quantity": e.quantity,
            "low": e.low,
            "high": e.high,
            "unit": e.unit,
            "unit_price": e.unit_price.amount,
            "amount": e.amount.amount,
            "currency": e.amount.currency,
            "how": e.how.value,
            "source": e.source,
            "trial": e.trial,
            "lever": levers.get(e.trial) if e.trial is not None else None,
        }
        for e in entries
    ]


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return lines as CSV: numbers with all of their digits, nothing where there is nothing.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def write_parquet(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write lines as Parquet; numbers are decimals of 38 digits, as many after the point as the longest needs.

    Raises
    ------
    MissingExtra
        If polars is not installed (the extra ``train``).
    RunUnwritable
        If the file cannot be written.
    """
    polars, kept = need("polars", for_="a ledger as Parquet"), list(rows)
    exact, text = polars.Decimal(PRECISION, _places(kept)), polars.String
    kinds = {name: exact if name in DECIMALS else polars.Int64 if name == "trial" else text for name in COLUMNS}
    frame = polars.DataFrame([polars.Series(name, [row[name] for row in kept], kinds[name]) for name in COLUMNS])
    try:
        frame.write_parquet(path)
    except OSError as problem:
        raise unwritable(path, problem) from problem


def _places(rows: Iterable[Mapping[str, Any]]) -> int:
    """Return how many digits after the point hold every number whole."""
    exponents = [value.as_tuple().exponent for row in rows for name in DECIMALS if (value := row[name]) is not None]
    return max((-int(exponent) for exponent in exponents), default=0)


def write_csv(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write lines as CSV.

    Raises
    ------
    RunUnwritable
        If the file cannot be written.
    """
    try:
        path.write_text(as_csv(rows), encoding="utf-8")
    except OSError as problem:
        raise unwritable(path, problem) from problem


def unwritable(path: Path, problem: OSError) -> RunUnwritable:
    """Return the error about a file that cannot be written."""
    return RunUnwritable(f"cannot write {path}: {problem.strerror or problem}; name another file")


def _cell(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return f"'{value}"
    return value
