"""The report on a terminal: decision, frontier, reasons, what else was tried, what it cost, what the data held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from steelyard.decide.words import money
from steelyard.report.advice import advice_lines
from steelyard.report.edge_words import WAYS, ms, quality
from steelyard.report.ladder import became, cells, measured, threads_said
from steelyard.report.return_words import lines as return_lines
from steelyard.report.return_words import tornado_lines
from steelyard.report.value import sentences
from steelyard.report.words import (
    Json,
    aim_of,
    cost,
    data_words,
    estimate,
    headline,
    keeps,
    milliseconds,
    price,
    size,
    spent,
    time_words,
    times,
    totals,
    verdict,
)

STYLE = {"stop": "bold red", "warn": "yellow", "note": "dim"}


def show(report: Json, console: Console) -> None:
    """Print a report. Text of the user's is printed as it is: nothing in it is taken for markup."""
    for part in _parts(report):
        console.print(part)


def show_pull(told: Json, console: Console) -> None:
    """Print what became of a lever that was pulled by hand, and what is decided now."""
    report, row = told["report"], told["trial"]
    console.print(Text(f"Trial {row['number']}, {row['recipe']}: {verdict(row)}", style="bold"))
    if told["ladder"] is not None:
        for part in _ladder({**report, "ladder": [told["ladder"]]}):
            console.print(part)
    console.print(_decision(report))


def show_returns(block: Json, console: Console) -> None:
    """Print what a model returns, with every assumption."""
    for part in _returns(block):
        console.print(part)
    table = plain_table("What it rests on")
    for column in ("", "figure", "known", "by"):
        table.add_column(column, overflow="fold")
    for row in block["assumptions"]:
        table.add_row(*(Text(row[key]) for key in ("name", "range", "how", "source")))
    console.print(table)


def _parts(report: Json) -> Iterator[RenderableType]:
    yield Rule(Text(report["name"], style="bold"), align="left")
    yield Text(data_words(report), style="dim")
    yield Text("")
    if report["frontier"]:
        yield _frontier(report)
    yield _decision(report)
    yield from _bullets("What decisions bring", sentences(report))
    yield from _returns(report.get("returns"))
    yield from _ladder(report)
    yield from _others(report)
    yield _ledger(report)
    yield from _time(report)
    if report["capacity"] is not None:
        yield from _bullets("Serving", [report["capacity"]["sentence"], *report["capacity"]["notes"]])
    if report["edge"] is not None:
        yield from _bullets("Device or server", [report["edge"]["sentence"], *report["edge"]["notes"]])
        if report["edge"]["ways"]:
            yield _ways(report["edge"])
    yield from _findings(report)
    yield from _bullets("Notes", report["notes"])
    if report["advice"] is not None:
        yield advice_lines(report["advice"])
    yield _end(report)


def _ways(block: Json) -> Table:
    """Lay the device, a server and both side by side."""
    table = plain_table(f"As the user sees it, at a round trip of {ms(block['round_trip_ms']['p50'])} (median)")
    table.add_column("", width=1)
    table.add_column("who answers", ratio=1, overflow="fold")
    table.add_column("p50 / p95", justify="right", no_wrap=True)
    table.add_column(block["aim"], justify="right", no_wrap=True)
    table.add_column("reach the\nserver", justify="right", no_wrap=True)
    table.add_column("a month", justify="right", no_wrap=True)
    for row in block["ways"]:
        mark = "→" if row["way"] == block["winner"] else ""
        seen = " / ".join(ms(row[k]) for k in ("p50_ms", "p95_ms"))
        month = money(row["month"], block["currency"])
        share = f"{row['reaches_server']:.1%}"
        table.add_row(mark, WAYS[row["way"]], seen, quality(row), share, month)
    return table


def _frontier(report: Json) -> Table:
    task = report["task"]
    table = plain_table("Frontier: no other candidate beats these on every count")
    table.add_column("", width=1)
    table.add_column("candidate", ratio=1, min_width=13, overflow="fold")
    arrow = "higher is better" if task["better"] == "higher" else "lower is better"
    table.add_column(f"{task['aim']}, 95% interval\n({arrow})", justify="right", no_wrap=True)
    table.add_column("p95 of\none row", justify="right", no_wrap=True)
    table.add_column("a million\npredictions", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for row in report["frontier"]:
        style = "bold" if row["chosen"] else ""
        name = Text(row["title"])
        cells = [aim_of(row, report), milliseconds(row), cost(row, report), size(row["size_bytes"])]
        table.add_row("→" if row["chosen"] else "", name, *cells, style=style)
    return table


def _decision(report: Json) -> RenderableType:
    decision = report["decision"]
    style = "bold red" if decision is None or not decision["feasible"] else "bold green"
    lines: list[RenderableType] = [Text(headline(report), style=style)]
    if decision is not None:
        lines += [bullet(reason) for reason in decision["reasons"]]
        lines.append(_shipped(report))
    return Group(*lines, Text(""))


def _shipped(report: Json) -> RenderableType:
    decision = report["decision"]
    lines = [
        f"On test: {report['task']['aim']} {aim_of(decision, report, 'test')}, read {times(report['test_reads'])}."
    ]
    if estimate(decision["test"], report["task"]["aim"]) is None:
        lines = []
    if decision["bundle"] is not None:
        how = "refitted on everything but test" if decision["refitted"] else "as it was measured"
        lines.append(f"Ships, {how}: {decision['bundle']}")
    elif keeps(decision):
        lines.append("Nothing ships: what is used today stays where it is.")
    else:
        lines = ["The bundle is not final yet; the figures are those of the trial."]
    return Group(*[bullet(line) for line in lines])


def _returns(block: Json | None) -> Iterator[RenderableType]:
    if block is None:
        return
    table = Table.grid(padding=(0, 2))
    for name, figure in return_lines(block):
        table.add_row(name, Text(figure))
    head = f"Return over {block['horizon_months']:g} months at {block['discount_rate']:.3g} a year"
    said = [bullet(line) for line in (block["sentence"], *block["remarks"])]
    yield Group(Text(head, style="bold"), *said, Padding(table, (0, 0, 0, 2)), Text(""))
    bars = plain_table("What moves it: each input at its 5% and 95% point, the others at their centre")
    for column in ("input", "from, to", "net present value"):
        bars.add_column(column, overflow="fold")
    for row in tornado_lines(block):
        bars.add_row(*map(Text, row))
    if block["tornado"]:
        yield bars


def _others(report: Json) -> Iterator[RenderableType]:
    rows = [row for row in report["trials"] if not row["chosen"]]
    if not rows:
        return
    table = plain_table("What else was tried")
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("candidate", ratio=4, overflow="fold")
    table.add_column(report["task"]["aim"], justify="right", no_wrap=True)
    table.add_column("", ratio=5, overflow="fold")
    for row in rows:
        shown = aim_of(row, report).split(" ")[0]
        style = "dim" if row["ending"] != "measured" else ""
        table.add_row(str(row["number"]), Text(row["title"]), shown, Text(verdict(row)), style=style)
    yield table


def _ladder(report: Json) -> Iterator[RenderableType]:
    """Show what was made cheaper, and what became of each step."""
    aim = report["task"]["aim"]
    for family in report.get("ladder", ()):
        table = plain_table(f"Made cheaper from {family['steps'][0]['title']}, {threads_said(family)}")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("candidate", ratio=1, min_width=12, overflow="fold")
        for head in ("size", "p50,\nms", "p95,\nms", "rows/s", "memory", aim, "worse\nby"):
            table.add_column(head, justify="right", overflow="fold")
        for step in measured(family):
            style = "bold" if step["chosen"] else "" if step["kept"] else "dim"
            *shown, lost, ends = cells(step, aim)
            table.add_row(str(step["number"]), Text(step["title"]), *shown, f"{lost}\n{ends}".strip(), style=style)
        yield table
        yield from (bullet(f"Trial {s['number']}: {became(s, family)}") for s in family["steps"][1:])
        yield Text("")


def _ledger(report: Json) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for kind, amount in totals(report):
        table.add_row(kind, amount, style="bold" if kind == "total" else "")
    cited = bullet(price(report["prices"]["core_hour"]))
    return Group(Text("Spent", style="bold"), Padding(table, (0, 0, 0, 2)), cited, Text(""))


def _time(report: Json) -> Iterator[RenderableType]:
    """Say where the time of the trials went."""
    if report.get("bottlenecks"):
        yield Text("Time", style="bold")
        yield from (bullet(line) for line in time_words(report["bottlenecks"]))
        yield Text("")


def _findings(report: Json) -> Iterator[RenderableType]:
    if report["checks"]:
        yield Text("Seen in the data", style="bold")
        yield from (bullet(f["sentence"], STYLE[f["severity"]], f["severity"]) for f in report["checks"])
        yield Text("")


def _bullets(title: str, lines: Iterable[str]) -> Iterator[RenderableType]:
    if lines:
        yield Text(title, style="bold")
        yield from (bullet(line) for line in lines)
        yield Text("")


def _end(report: Json) -> RenderableType:
    return Group(Text(report["ending"]), Text(f"Spent: {spent(report)}. Run: {report['folder']}", style="dim"))


def bullet(text: str, style: str = "", tag: str = "") -> Padding:
    """Return a line of a list, wrapped under itself; ``text`` is printed as it is."""
    line = Table.grid(padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold", ratio=1)
    line.add_row(Text(tag or "•", style=style), Text(text))
    return Padding(line, (0, 0, 0, 2))


def plain_table(title: str) -> Table:
    """Return an empty table with a title, in the look that all tables share."""
    return Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 0, 0, 1),
        header_style="dim",
    )
