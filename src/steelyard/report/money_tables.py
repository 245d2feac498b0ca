"""Lists of prices and cuts of a ledger on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from steelyard.report.tables import show_rows
from steelyard.report.terminal import bullet, plain_table

READ = {"measured": "read"}
"""How a price is known, for people: one is read at its source, or assumed."""


def show_prices(found: Mapping[str, Any], console: Console) -> None:
    """Print a list of prices: sources once each below the table, as they are long."""
    sources: dict[str, int] = {}
    rows = []
    for row in found["rows"]:
        number = sources.setdefault(row["source"].partition(": ")[2] or row["source"], len(sources) + 1)
        hidden = {"source", "age_days", "currency", *({"how", "date"} if "family" in row else ())}
        shown = {name: READ.get(value, value) for name, value in row.items() if name not in hidden}
        rows.append({**shown, "age": old(row["age_days"]), "source": f"[{number}]"})
    show_rows(rows, console)
    currencies = {row["currency"] for row in found["rows"] if "currency" in row}
    if currencies:
        console.print(bullet(f"Money is in {', '.join(sorted(currencies))}."))
    for source, number in sources.items():
        console.print(bullet(source, "dim", f"[{number}]"))
    for sentence in found["old"]:
        console.print(bullet(sentence, "yellow", "old"))


def old(days: int | None) -> str:
    """Return an age for people.

    Examples
    --------
    >>> old(None), old(0), old(1), old(45), old(800)
    ('unknown', 'today', '1 day', '45 days', '2.2 years')
    """
    if days is None:
        return "unknown"
    if days <= 0:
        return "today"
    if days < 366:
        return "1 day" if days == 1 else f"{days} days"
    return f"{days / 365.25:.1f} years"


def show_ledger(found: Mapping[str, Any], console: Console) -> None:
    """Print a cut of a ledger; the rows as they are printed sum to the total as it is printed."""
    by, currency = found["by"], found["currency"]
    table = plain_table(f"Spent, by {by}")
    table.add_column(by, ratio=1, overflow="fold")
    table.add_column(f"amount, {currency}", justify="right", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("lines", justify="right", no_wrap=True)
    for part in found["parts"]:
        trials = str(len(part["trials"])) if part["trials"] else ""
        table.add_row(Text(str(part[by])), part["shown"], trials, str(part["lines"]))
    lines = sum(part["lines"] for part in found["parts"])
    table.add_row("total", found["shown"], "", str(lines), style="bold")
    console.print(table)
    for sentence in (*found["beside"], *found["old"]):
        console.print(bullet(sentence))
