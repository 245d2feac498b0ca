"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.decide.targets import percent
from steelyard.decide.words import currency_of, figure, money, span
from steelyard.report.markup import Markup, join, tag
from steelyard.report.words import (
    DASH,
    NAMES,
    Json,
    aim_of,
    amount,
    cost,
    duration,
    estimate,
    milliseconds,
    price,
    size,
    time_words,
    times,
    totals,
    verdict,
)
from steelyard.units import Estimate

SHOWN = 150
"""Rows of one table on the page; report.json holds all of them."""
TARGETS = {"latency_p95_ms": "p95 latency, ms", "size_mb": "size, MB", "cost_per_million": "cost per million"}


def figures(report: Json) -> Markup | None:
    """Return the figures of the decision, large."""
    decision, task = report["decision"], report["task"]
    if decision is None:
        return None
    cells = [_quality(decision, task, "test", f"read {times(report['test_reads'])}")]
    cells.append(_quality(decision, task, "validation", report["protocol"]))
    p95 = estimate(decision["figures"], "latency_p95_ms")
    if p95 is not None:
        median = estimate(decision["figures"], "latency_p50_ms")
        beside = "" if median is None else f"median {figure(median.value)} ms"
        cells.append(_cell("p95 latency of one row", f"{figure(p95.value)} ms", beside))
    million = estimate(decision["figures"], "cost_per_million")
    beside = "" if million is None else _ends_of_money(million)
    cells.append(_cell("a million predictions", cost(decision, report), beside))
    cells.append(_cell("size on disk", size(decision["size_bytes"]), ""))
    cells.append(_cell("spent to find it", money(report["spent"]["money"], report["spent"]["currency"]), _wall(report)))
    return tag("dl", *(cell for cell in cells if cell is not None), class_="figures")


def targets_table(report: Json) -> Markup | None:
    """Return what was asked for, what was got, and how sure that is."""
    rows = []
    for target in report["decision"]["targets"]:
        got = Estimate.from_json(target["got"])
        chance = DASH if target["probability"] is None else percent(target["probability"])
        met = tag("span", "met" if target["met"] else "missed", class_=f"status-{'met' if target['met'] else 'missed'}")
        name = TARGETS.get(target["name"], target["name"])
        rows.append(((name, f"at {target['at']} {target['asked']:g}", span(got), chance, met), ""))
    if not rows:
        return None
    heads = ("target", "asked", "got, with 95% interval", "probability of meeting it", "")
    return _table(heads, rows, numbers=(3,), caption="Targets, on validation rows")


def frontier_table(report: Json) -> Markup:
    """Return the candidates that no other beats on every count."""
    task = report["task"]
    heads = ("candidate", f"{task['aim']}, 95% interval", "p95 of one row", "a million predictions", "size")
    rows = [
        (
            (_name(row), aim_of(row, report), milliseconds(row), cost(row, report), size(row["size_bytes"])),
            "chosen" if row["chosen"] else "",
        )
        for row in report["frontier"]
    ]
    caption = "Candidates that no other beats in quality, latency, cost and size together; best quality first"
    return _table(heads, rows, numbers=(1, 2, 3, 4), caption=caption)


def trials_table(report: Json) -> Markup:
    """Return every trial with what became of it: taken, rejected, passed over or never measured, and why."""
    heads = ("candidate", report["task"]["aim"], "p95 of one row", "size", "what became of it")
    shown = sorted(report["trials"], key=lambda row: (row["ending"] != "measured", row["number"]))
    rows = [
        (
            (_name(row), _point(row, report), milliseconds(row), size(row["size_bytes"]), verdict(row)),
            "chosen" if row["chosen"] else "",
        )
        for row in shown
    ]
    return _table(heads, rows, numbers=(1, 2, 3), caption=f"All {len(rows)} trials")


def ledger_section(report: Json) -> Markup:
    """Return what was spent, by kind and line by line."""
    ledger = report["ledger"]
    by_kind = [(row, "total" if row[0] == "total" else "") for row in totals(report)]
    heads = ("what", "quantity", "unit price", "amount", "how known")
    lines = [(_line(entry), "") for entry in ledger["entries"]]
    prices = [tag("p", price(row), class_="muted") for row in report["prices"].values() if row is not None]
    table = _table(heads, lines, numbers=(1, 2, 3), caption="Every line of the ledger")
    detail = tag("details", tag("summary", f"{len(lines)} lines"), table) if lines else None
    return join(
        _table(("spent on", "amount"), by_kind, numbers=(1,), caption="By kind", class_="small"), *prices, detail
    )


def time_table(report: Json) -> Markup:
    """Return where the seconds of each trial went, those that took longest first, and what would save some."""
    block = report["bottlenecks"]
    titles = {row["number"]: row["title"] for row in report["trials"]}
    heads = ("trial", "seconds", "loading", "preparing", "computing", "waiting", "idle cores", "what would help")
    rows = []
    for row in sorted(block["trials"], key=lambda row: -row["seconds"]):
        phases = (duration(row[name]) for name in heads[1:6])
        rows.append(((titles[row["number"]], *phases, f"{row['idle_share']:.0%}", row["sentence"] or DASH), ""))
    lines = tag("ul", *(tag("li", line) for line in time_words(block)))
    table = _table(
        heads, rows, numbers=range(1, 7), caption="Longest first; with the wait for a worker and its loading"
    )
    return join(lines, tag("details", tag("summary", f"{len(rows)} trials"), table))


def capacity_section(report: Json) -> Markup:
    """Return how many replicas the traffic needs, and where they are best run."""
    block = report["capacity"]
    rows = [
        ((place["kind"], _of_month(place, "month"), _of_month(place, "per_million"), place["name"], place["note"]), "")
        for place in block["placement"]
    ]
    heads = ("where", "a month", "a million predictions", "what", "how")
    table = _table(heads, rows, numbers=(1, 2), caption="The cheapest of each kind") if rows else None
    notes = (tag("p", note, class_="muted") for note in block["notes"])
    return join(tag("p", block["sentence"]), table, *notes)


def _of_month(place: Json, name: str) -> str:
    found = estimate(place, name)
    return DASH if found is None else _span_of_money(found)


def data_section(report: Json) -> Markup:
    """Return what the checks found, and the columns."""
    findings = [
        ((tag("span", f["severity"], class_=f"severity-{f['severity']}"), f["sentence"]), "") for f in report["checks"]
    ]
    found = _table(("severity", "finding"), findings, caption="Findings") if findings else _nothing()
    columns = [((c["name"], c["kind"], f"{c['missing']:.1%}"), "") for c in report["columns"]]
    table = _table(("column", "kind", "missing"), columns, numbers=(2,), caption="As inferred, or as the spec says")
    return join(found, tag("details", tag("summary", f"{len(columns)} columns"), table))


def measured_section(report: Json) -> Markup:
    """Return what stands behind the figures: rows, machine, definitions, and the spec itself."""
    facts = {
        "Quality": f"Of the bundle that ships, on validation rows ({report['protocol']}); 95% bootstrap intervals. "
        f"Test rows were read {times(report['test_reads'])}.",
        "Latency": "From one row as named values to its answer, loaded once and warmed up, threads pinned.",
        "Rows": ", ".join(f"{name} {count:,}" for name, count in report["row_counts"].items()),
        "Machine": ", ".join(f"{name} {value}" for name, value in report["machine"].items()) or DASH,
        **_own_figures(report),
        "Data": f"fingerprint {report['fingerprint']}",
        "Run": report["folder"],
    }
    listed = tag("dl", *(join(tag("dt", k), tag("dd", v)) for k, v in facts.items()), class_="facts")
    notes = tag("ul", *(tag("li", note) for note in report["notes"])) if report["notes"] else None
    spec = tag("details", tag("summary", "The spec"), tag("pre", tag("code", report["spec"])))
    return join(listed, notes, spec)


def _own_figures(report: Json) -> dict[str, str]:
    decision = report["decision"]
    if decision is None:
        return {}
    found = {name: estimate(decision["figures"], key) for key, name in NAMES.items()}
    words = {name: _sourced(e) for name, e in found.items() if e is not None}
    how = "refitted on everything but test" if decision["refitted"] else "as measured"
    bundle = f"{decision['bundle'] or DASH} ({how}); recipe: {decision['recipe']}"
    return words | {"Bundle": bundle}


def _sourced(found: Estimate) -> str:
    if found.unit == "bytes":
        return f"{size(found.value)} ({found.how.value})"
    if found.unit.endswith("predictions"):
        return f"{_span_of_money(found)}, {found.how.value}: {found.source}"
    return f"{span(found, found.unit)}, {found.how.value}"


def _span_of_money(found: Estimate) -> str:
    currency = currency_of(found.unit)
    if found.low == found.high:
        return money(found.value, currency)
    low, high = money(found.low, currency), money(found.high, currency)
    return f"{money(found.value, currency)} ({low} to {high})"


def _ends_of_money(found: Estimate) -> str:
    ends = _span_of_money(found).partition(" (")[2].rstrip(")")
    return f"{ends}, {found.how.value}" if ends else found.how.value


def _line(entry: Json) -> tuple[str, ...]:
    if entry["kind"] == "note":
        return entry["what"], "", "", "", "note"
    quantity = f"{float(entry['quantity']):.6f} {entry['unit']}"
    return entry["what"], quantity, entry["unit_price"], amount(entry), entry["how"]


def _quality(decision: Json, task: Json, rows: str, beside: str) -> Markup | None:
    found = estimate(decision[rows], task["aim"])
    if found is None:
        return None
    ends = "" if found.low == found.high else span(found).partition(" ")[2].strip("()") + ", "
    return _cell(f"{task['aim']} on {rows}", figure(found.value), f"{ends}{beside}")


def _cell(name: str, value: str, beside: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", beside) if beside else None))


def _name(row: Json) -> Markup:
    full = f" {row['recipe']}" if row["recipe"] != row["title"] else ""
    return join(row["title"], tag("small", tag("br"), full) if full else None)


def _point(row: Json, report: Json) -> str:
    found = estimate(row["validation"], report["task"]["aim"])
    return DASH if found is None else figure(found.value)


def _wall(report: Json) -> str:
    return f"in {duration(report['spent']['seconds'])}"


def _nothing() -> Markup:
    return tag("p", "The checks found nothing to report.", class_="muted")


def _table(
    heads: Sequence[str],
    rows: Iterable[tuple[Sequence[str], str]],
    *,
    numbers: Sequence[int] = (),
    caption: str = "",
    class_: str = "stack",
) -> Markup:
    look = ["number" if k in numbers else None for k in range(len(heads))]
    first = [tag("th", head, scope="col", role="columnheader", class_=c) for head, c in zip(heads, look, strict=True)]
    every = list(rows)
    body = [_row(heads, cells, look, style) for cells, style in every[:SHOWN]]
    more = f"; {len(every) - SHOWN} more in report.json" if len(every) > SHOWN else ""
    top = tag("thead", tag("tr", *first, role="row"), role="rowgroup")
    return tag(
        "table", tag("caption", caption + more), top, tag("tbody", *body, role="rowgroup"), class_=class_, role="table"
    )


def _row(heads: Sequence[str], cells: Sequence[str], look: Sequence[str | None], style: str) -> Markup:
    rest = zip(heads[1:], cells[1:], look[1:], strict=True)
    return tag(
        "tr",
        tag("th", cells[0], scope="row", role="rowheader"),
        *(tag("td", cell, data_label=head, class_=c, role="cell") for head, cell, c in rest),
        class_=style or None,
        role="row",
    )
