"""Smaller tables of the command line: a look at data, a bundle on labelled rows, lists of what is registered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steelyard.contracts import Column
from steelyard.data import Inspection
from steelyard.decide.words import currency_of, figure, money, span
from steelyard.report.terminal import STYLE, bullet, plain_table
from steelyard.report.words import DASH, size
from steelyard.units import Estimate

MOST_COLUMNS = 100
"""Columns of a look at the data that are listed on a screen."""


def inspection_json(found: Inspection) -> dict[str, Any]:
    """Return what a look at the data found, as plain JSON."""
    task, dataset = found.task, found.dataset
    return {
        "name": found.name,
        "source": found.source,
        "rows": found.rows,
        "usable": dataset is not None,
        "fingerprint": None if dataset is None else dataset.fingerprint,
        "protocol": None if dataset is None else dataset.partition.protocol,
        "task": None
        if task is None
        else {
            "problem": task.problem.value,
            "target": task.target,
            "aim": task.aim,
            "classes": list(task.classes),
            "positive": task.positive,
        },
        "columns": [_column(column) for column in found.schema.columns],
        "checks": [finding.to_json() for finding in found.findings],
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": column.kind.value,
        "missing": column.missing,
        "distinct": column.distinct,
        "low": column.low,
        "high": column.high,
        "why": column.why,
    }


def show_inspection(found: Inspection, console: Console) -> None:
    """Print what a look at the data found: columns with their kinds, then the findings."""
    seen = inspection_json(found)
    console.print(Text(f"{found.name}: {found.rows:,} rows, {_task_words(seen)}", style="bold"))
    table = plain_table("Columns")
    table.add_column("column", ratio=3, overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    table.add_column("distinct", justify="right", no_wrap=True)
    table.add_column("why", ratio=4, overflow="fold")
    for row in seen["columns"][:MOST_COLUMNS]:
        cells = (f"{row['missing']:.1%}", f"{row['distinct']:,}", Text(row["why"]))
        table.add_row(Text(row["name"]), row["kind"], *cells)
    console.print(table)
    if rest := Counter(row["kind"] for row in seen["columns"][MOST_COLUMNS:]):
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in rest.most_common())
        console.print(bullet(f"and {rest.total():,} more columns ({kinds}); --json lists them all"))
    for finding in seen["checks"]:
        console.print(bullet(finding["sentence"], STYLE[finding["severity"]], finding["severity"]))
    words = "Nothing stops a run." if seen["usable"] else "A run would stop here; see the findings marked stop."
    console.print(Text(words, style="bold green" if seen["usable"] else "bold red"))


def _task_words(seen: Mapping[str, Any]) -> str:
    task = seen["task"]
    if task is None:
        return "no target that can be learned"
    kind = "regression" if task["problem"] == "regression" else f"{len(task['classes'])} classes"
    positive = "" if task["positive"] is None else f", positive: {task['positive']}"
    protocol = "" if seen["protocol"] is None else f"; validation: {seen['protocol']}"
    return f"target {task['target']} ({kind}{positive}), aim: {task['aim']}{protocol}"


def show_evaluation(figures: Mapping[str, Any], console: Console) -> None:
    """Print the quality of a bundle on labelled rows with 95% intervals, its latency, and what it costs."""
    table = plain_table(f"{figures['bundle']} on {figures['rows']:,} rows")
    table.add_column("figure", ratio=1, overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    harmed = figures.get("stress", {"kind": "", "quality": {}})
    rows = {**figures["quality"], **{f"{name} with {harmed['kind']}": v for name, v in harmed["quality"].items()}}
    rows |= {f"latency {k}": v for k, v in figures["latency_ms"].items()}
    for name, found in {**rows, "rows a second": figures["rows_per_second"]}.items():
        table.add_row(Text(name), *_split(found))
    table.add_row("size", size(figures["size_bytes"]), "")
    cost = Estimate.from_json(figures["cost_per_million"])
    table.add_row("a million predictions", money(cost.value, currency_of(cost.unit)), "")
    console.print(table)
    console.print(bullet(f"Cost is {cost.how.value}: {cost.source}."))


def _split(found: Mapping[str, Any]) -> tuple[str, str]:
    if found["value"] is None:
        return DASH, ""
    estimate = Estimate.from_json(found)
    unit = "" if "target" in estimate.unit else f" {estimate.unit}"
    ends = "" if estimate.low == estimate.high else span(estimate).partition(" (")[2].rstrip(")")
    return f"{figure(estimate.value)}{unit}".rstrip(), ends


def show_rows(rows: Sequence[Mapping[str, object]], console: Console) -> None:
    """Print a list of records, one column a name."""
    table: Table = plain_table("")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for place, name in enumerate(names):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return DASH
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(str(v) for v in value))
    return str(value)
