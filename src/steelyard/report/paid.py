"""What each lever earned, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from steelyard.decide.words import figure, money, span
from steelyard.report.rows import Json
from steelyard.report.terminal import bullet, plain_table
from steelyard.units import Estimate

SPARE = "*"
"""What marks a lever that is not on the way to the model that ships."""
METHODS = {
    "shapley": "Shared by the Shapley value: every subset of these levers was measured, so their order does not count.",
    "path": "Shared as differences along the path that was taken; another order might share it otherwise.",
}


def show_paid(told: Json, console: Console) -> None:
    """Print the block ``attribution`` of a report."""
    table = plain_table("What each lever cost and earned")
    table.add_column("lever", no_wrap=True)
    for head in ("tries", "spent"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("quality\n(better: +)", justify="right", ratio=1, overflow="fold")
    for head in ("p95, ms", "a month"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in told["levers"]:
        table.add_row(*_cells(row, told["currency"]), style="" if row["on_path"] else "dim")
    table.add_row("rest of the run", "", money(told["rest"], told["currency"]), "", "", "", style="dim")
    console.print(table)
    if not all(row["on_path"] for row in told["levers"]):
        console.print(Text(f"{SPARE} tried, and not on the way to the model that ships"))
    console.print(Text(METHODS[told["method"]]))
    for row in (*told["levers"], *told["interactions"]):
        console.print(bullet(row["sentence"]))


def _cells(row: Json, currency: str) -> tuple[Text | str, ...]:
    quality, late, month = (row[name] for name in ("quality", "latency_ms", "month"))
    return (
        Text(row["lever"] if row["on_path"] else f"{row['lever']}{SPARE}"),
        str(row["tried"]),
        money(row["spent"], currency),
        "" if quality is None else span(Estimate.from_json(quality)),
        "" if late is None else figure(late["value"]),
        "" if month is None else money(month["value"], currency),
    )
