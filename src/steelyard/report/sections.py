"""The tables of the page about what was decided, tried, spent and seen."""

from __future__ import annotations

from steelyard.decide.targets import percent
from steelyard.decide.words import currency_of, figure, money, span
from steelyard.report.grid import Cell, Row, table
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import english, say
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
    totals,
    verdict,
)
from steelyard.units import Estimate, How

TARGETS = {
    "latency_p95_ms": "p95 latency, ms",
    "size_mb": "size, MB",
    "cost_per_million": "cost per million",
    "edge_latency_p95_ms": "p95 latency on the device, ms",
    "edge_memory_mb": "memory on the device, MB",
    "edge_size_mb": "size on the device, MB",
}
PHASES = ("loading", "preparing", "computing", "waiting")
KINDS = frozenset(
    {"compute", "accelerator", "memory", "energy", "labels", "people", "storage", "serving", "egress", "value", "total"}
)
HOW = {"measured": "measured", "estimated": "estimated", "assumed": "assumed", "note": "note"}


def figures(report: Json) -> Markup | None:
    """Return the figures of the decision, large."""
    decision, task = report["decision"], report["task"]
    if decision is None:
        return None
    cells = [_quality(decision, task, "{0} on test rows", "test", _read(report))]
    cells.append(_quality(decision, task, "{0} on validation rows", "validation", english(report["protocol"])))
    p95 = estimate(decision["figures"], "latency_p95_ms")
    if p95 is not None:
        median = estimate(decision["figures"], "latency_p50_ms")
        beside = None if median is None else say("median {0} ms", figure(median.value))
        cells.append(_cell(say("p95 latency of one row"), f"{figure(p95.value)} ms", beside))
    million = estimate(decision["figures"], "cost_per_million")
    beside = None if million is None else _ends_of_money(million)
    cells.append(_cell(say("a million predictions"), cost(decision, report), beside))
    cells.append(_cell(say("size on disk"), size(decision["size_bytes"]), None))
    spent = report["spent"]
    wall = say("in {0}", duration(spent["seconds"]))
    cells.append(_cell(say("spent to find it"), money(spent["money"], spent["currency"]), wall))
    return tag("dl", *(cell for cell in cells if cell is not None), class_="figures")


def targets_table(report: Json) -> Markup | None:
    """Return what was asked for, what was got, and how sure that is."""
    rows = []
    for target in report["decision"]["targets"]:
        got = Estimate.from_json(target["got"])
        chance = DASH if target["probability"] is None else _percent(target["probability"])
        word = "met" if target["met"] else "missed"
        met = tag("span", say(word), class_=f"status-{word}")
        name = say(TARGETS[target["name"]]) if target["name"] in TARGETS else target["name"]
        asked = say("at least {0}" if target["at"] == "least" else "at most {0}", f"{target['asked']:g}")
        known = Cell.of(span(got), got) if got.how is How.MEASURED else join(span(got), " (", say(got.how.value), ")")
        cells = (name, asked, known, Cell(chance, target["probability"]), met)
        rows.append((cells, ""))
    if not rows:
        return None
    heads = ("target", "asked", "got, with 95% interval", "probability of meeting it", "")
    return table(heads, rows, name="targets", numbers=(3,), caption=say("Targets, on validation rows"))


def _percent(share: float) -> str:
    words = percent(share)
    return say(words) if words in {"over 99%", "under 1%"} else words


def frontier_table(report: Json) -> Markup:
    """Return the candidates that no other beats on every count."""
    task = report["task"]
    heads = ("candidate", ("{0}, 95% interval", task["aim"]), "p95 of one row", "a million predictions", "size")
    rows = [
        ((_name(row), _aim(row, report, aim_of(row, report)), *_weight(row, report)), "chosen" if row["chosen"] else "")
        for row in report["frontier"]
    ]
    caption = say("Candidates that no other beats in quality, latency, cost and size together; best quality first")
    return table(heads, rows, name="frontier", numbers=(1, 2, 3, 4), caption=caption)


def trials_table(report: Json) -> Markup:
    """Return every trial with what became of it: taken, rejected, passed over or never measured, and why."""
    heads = ("candidate", ("{0}", report["task"]["aim"]), "p95 of one row", "size", "what became of it")
    shown = sorted(report["trials"], key=lambda row: (row["ending"] != "measured", row["number"]))
    rows = []
    for row in shown:
        p95, _, disk = _weight(row, report)
        cells = (_name(row), _aim(row, report, _point(row, report)), p95, disk, english(verdict(row)))
        rows.append((cells, "chosen" if row["chosen"] else ""))
    return table(heads, rows, name="trials", numbers=(1, 2, 3), caption=say("All {0} trials", str(len(rows))))


def ledger_section(report: Json) -> Markup:
    """Return what was spent, by kind and line by line."""
    ledger = report["ledger"]
    amounts = {**ledger["totals"], "total": ledger["total"]}
    by_kind: list[Row] = [
        ((_kind(kind), Cell(words, amounts[kind])), "total" if kind == "total" else "")
        for kind, words in totals(report)
    ]
    heads = ("what", "quantity", "unit price", "amount", "how known")
    lines = [(_line(entry), "") for entry in ledger["entries"]]
    prices = [tag("p", english(price(row)), class_="muted") for row in report["prices"].values() if row is not None]
    every = table(heads, lines, name="ledger", numbers=(1, 2, 3), caption=say("Every line of the ledger"))
    detail = tag("details", tag("summary", say("{0} lines", str(len(lines)))), every) if lines else None
    kinds = table(
        ("spent on", "amount"), by_kind, name="spent", numbers=(1,), caption=say("By kind"), class_="small stack"
    )
    return join(kinds, *prices, detail)


def data_section(report: Json) -> Markup:
    """Return what the checks found, and the columns."""
    findings = [
        ((tag("span", say(f["severity"]), class_=f"severity-{f['severity']}"), english(f["sentence"])), "")
        for f in report["checks"]
    ]
    nothing = tag("p", say("The checks found nothing to report."), class_="muted")
    heads = ("severity", "finding")
    found = table(heads, findings, name="findings", caption=say("Findings")) if findings else nothing
    columns = [((c["name"], say(c["kind"]), Cell(f"{c['missing']:.1%}", c["missing"])), "") for c in report["columns"]]
    caption = say("As inferred, or as the spec says")
    listed = table(("column", "kind", "missing"), columns, name="columns", numbers=(2,), caption=caption)
    return join(found, tag("details", tag("summary", say("{0} columns", str(len(columns)))), listed))


def measured_section(report: Json) -> Markup:
    """Return what stands behind the figures: rows, machine, definitions, and the spec itself."""
    quality = say("Of the bundle that ships, on validation rows ({0}); 95% bootstrap intervals.", report["protocol"])
    latency = say("From one row as named values to its answer, loaded once and warmed up, threads pinned.")
    facts: list[tuple[Markup, str]] = [
        (say("Quality"), join(quality, " ", _read(report))),
        (say("Latency"), latency),
        (say("Rows"), ", ".join(f"{name} {count:,}" for name, count in report["row_counts"].items())),
        (say("Machine"), ", ".join(f"{name} {value}" for name, value in report["machine"].items()) or DASH),
        *_own_figures(report),
        (say("Data"), say("fingerprint {0}", report["fingerprint"])),
        (say("Run"), report["folder"]),
    ]
    listed = tag("dl", *(join(tag("dt", k), tag("dd", v)) for k, v in facts), class_="facts")
    notes = tag("ul", *(tag("li", english(note)) for note in report["notes"])) if report["notes"] else None
    spec = tag("details", tag("summary", say("The spec")), tag("pre", tag("code", report["spec"]), tabindex="0"))
    return join(listed, notes, spec)


def bottlenecks_table(report: Json) -> Markup | None:
    """Return where the seconds of the trials went, those that took longest first, and what would save some."""
    block = report.get("bottlenecks")
    if not block:
        return None
    titles = {row["number"]: row["title"] for row in report["trials"]}
    heads = (
        "trial",
        "seconds",
        "loading, s",
        "preparing, s",
        "computing, s",
        "waiting, s",
        "idle cores",
        "what to do",
    )
    lines: list[Row] = [
        (
            (
                titles[row["number"]],
                *(Cell(figure(row[name]), row[name]) for name in ("seconds", *PHASES)),
                Cell(f"{row['idle_share']:.0%}", row["idle_share"]),
                english(row["sentence"] or DASH),
            ),
            "",
        )
        for row in sorted(block["trials"], key=lambda row: -row["seconds"])
    ]
    said = tag("ul", *(tag("li", english(line)) for line in time_words(block)))
    caption = say("Where the seconds of each trial went")
    listed = table(heads, lines, name="bottlenecks", numbers=range(1, 7), caption=caption)
    return join(said, tag("details", tag("summary", say("{0} trials", str(len(lines)))), listed))


def _own_figures(report: Json) -> list[tuple[Markup, str]]:
    decision = report["decision"]
    if decision is None:
        return []
    found = {name: estimate(decision["figures"], key) for key, name in NAMES.items()}
    words: list[tuple[Markup, str]] = [(say(name), english(_sourced(e))) for name, e in found.items() if e is not None]
    how = say("refitted on everything but test" if decision["refitted"] else "as measured")
    bundle = join(f"{decision['bundle'] or DASH} (", how, "); ", say("recipe: {0}", decision["recipe"]))
    return [*words, (say("Bundle"), bundle)]


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


def _ends_of_money(found: Estimate) -> Markup:
    how = say(HOW[found.how.value])
    if found.low == found.high:
        return how
    currency = currency_of(found.unit)
    return join(say("{0} to {1}", money(found.low, currency), money(found.high, currency)), ", ", how)


def _line(entry: Json) -> tuple[str | Cell, ...]:
    if entry["kind"] == "note":
        return english(entry["what"]), "", "", "", say("note")
    value = float(entry["amount"].split(" ")[0])
    quantity = Cell(f"{float(entry['quantity']):.6f} {entry['unit']}", float(entry["quantity"]))
    return english(entry["what"]), quantity, entry["unit_price"], Cell(amount(entry), value), say(HOW[entry["how"]])


def _kind(kind: str) -> str:
    return say(kind) if kind in KINDS else kind


def _quality(decision: Json, task: Json, words: str, rows: str, beside: Markup) -> Markup | None:
    found = estimate(decision[rows], task["aim"])
    if found is None:
        return None
    ends = span(found).partition("(")[2].strip(")").split(" to ")
    between = join(say("{0} to {1}", *ends), ", ") if found.low != found.high else None
    unit = f" {task['unit']}" if task["unit"] else ""
    return _cell(say(words, task["aim"]), f"{figure(found.value)}{unit}", join(between, beside))


def _read(report: Json) -> Markup:
    count = report["test_reads"]
    return say("Test rows were read once.") if count == 1 else say("Test rows were read {0} times.", str(count))


def _cell(name: Markup, value: str, beside: Markup | None) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", beside) if beside else None))


def _name(row: Json) -> Markup:
    full = f" {row['recipe']}" if row["recipe"] != row["title"] else ""
    return join(row["title"], tag("small", tag("br"), full) if full else None)


def _aim(row: Json, report: Json, words: str) -> Cell:
    return Cell.of(words, estimate(row["validation"], report["task"]["aim"]))


def _weight(row: Json, report: Json) -> tuple[Cell, Cell, Cell]:
    found, million = estimate(row["figures"], "latency_p95_ms"), estimate(row["figures"], "cost_per_million")
    disk = row["size_bytes"]
    p95 = Cell.of(milliseconds(row), found)
    return p95, Cell.of(cost(row, report), million), Cell(size(disk), disk)


def _point(row: Json, report: Json) -> str:
    found = estimate(row["validation"], report["task"]["aim"])
    return DASH if found is None else figure(found.value)
