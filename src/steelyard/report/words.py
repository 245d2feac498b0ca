"""The report's figures as text: shared by the terminal, the page and the card, so that all say the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from steelyard.decide.words import figure, money, span
from steelyard.decide.words import size as bytes_said
from steelyard.money.shares import places_for, shown
from steelyard.units import Estimate

Json = Mapping[str, Any]

DASH = "–"  # noqa: RUF001 - the sign for nothing in a table
NAMES = {
    "latency_p50_ms": "Latency of one row, median",
    "latency_p95_ms": "Latency of one row, 95% within",
    "latency_p99_ms": "Latency of one row, 99% within",
    "throughput_rps": "Throughput at the best batch",
    "memory_bytes": "Memory to load and run it",
    "cost_per_million": "Cost of a million predictions",
}


def estimate(figures: Json, name: str) -> Estimate | None:
    """Return one figure by name, or ``None`` where it was not measured."""
    found = figures.get(name)
    return None if found is None or found["value"] is None else Estimate.from_json(found)


def aim_of(row: Json, report: Json, rows: str = "validation") -> str:
    """Return the aim of a row with its interval, or a dash."""
    found = estimate(row.get(rows, {}), report["task"]["aim"])
    return DASH if found is None else span(found)


def milliseconds(row: Json) -> str:
    """Return the p95 latency of a row, or a dash."""
    found = estimate(row["figures"], "latency_p95_ms")
    return DASH if found is None else f"{figure(found.value)} ms"


def cost(row: Json, report: Json) -> str:
    """Return the cost of a million predictions, or a dash."""
    amount = row["cost_per_million"]
    return DASH if amount is None else money(amount, report["ledger"]["currency"])


def size(count: float | None) -> str:
    """Return a number of bytes in decimal units.

    Examples
    --------
    >>> size(1234), size(482_000), size(87_000_000), size(None) == DASH
    ('1.23 kB', '482 kB', '87.0 MB', True)
    """
    return DASH if count is None else bytes_said(count)


def duration(seconds: float) -> str:
    """Return a duration for people.

    Examples
    --------
    >>> duration(0.31), duration(31.4), duration(75), duration(7322)
    ('0.3 s', '31.4 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def spent(report: Json) -> str:
    """Return what the whole command took."""
    used = report["spent"]
    labels = f", {used['labels']:,} labels" if used["labels"] else ""
    return f"{duration(used['seconds'])}, {money(used['money'], used['currency'])}{labels}"


def verdict(row: Json) -> str:
    """Return what became of a trial, in a sentence."""
    if row["chosen"]:
        return "Taken."
    if row["ending"] != "measured":
        note = str(row["note"])
        return f"{row['ending_sentence']} {note}".strip() if note != row["ending_sentence"] else note
    return str(row["rejected"] or row["passed_over"] or "Measured.")


def headline(report: Json) -> str:
    """Return the decision in one line."""
    decision = report["decision"]
    if decision is None:
        return "Nothing was measured, so there is nothing to decide on."
    if keeps(decision) and decision["feasible"]:
        return f"Keep what you have: {decision['title']}."
    if decision["feasible"]:
        asked = "It meets every target." if decision["targets"] else "No targets were asked for."
        return f"Take {decision['title']}. {asked}"
    return f"No candidate meets every target. {decision['title']} comes nearest."


def keeps(decision: Json) -> bool:
    """Tell whether what was decided on is what is used today."""
    return "given" in decision["recipe_tree"]


def data_words(report: Json) -> str:
    """Return what the data is, in one line."""
    counts, task = report["row_counts"], report["task"]
    kind = "regression" if task["problem"] == "regression" else f"{len(task['classes'])} classes"
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{task['target']} ({kind}); rows: {sizes}; validation: {report['protocol']}"


def amount(entry: Json) -> str:
    """Return the amount of a line of the ledger."""
    value, currency = entry["amount"].split(" ")
    return money(float(value), currency)


def totals(report: Json) -> list[tuple[str, str]]:
    """Return the ledger by kind and its total, rounded so that the parts as they are shown sum to it."""
    ledger = report["ledger"]
    amounts = [Decimal(repr(amount)) for amount in ledger["totals"].values()]
    rounded = shown(amounts, places_for(amounts))
    cells = (*zip(ledger["totals"], rounded, strict=True), ("total", sum(rounded, start=Decimal(0))))
    return [(kind, f"{amount:,f} {ledger['currency']}") for kind, amount in cells]


def price(row: Json) -> str:
    """Return a price in force with its source and date."""
    dated = f", {row['date']}" if row["date"] else ""
    return f"{row['amount']:g} {row['currency']} per {row['per']} ({row['source']}{dated})"


def time_words(block: Json) -> list[str]:
    """Return where the seconds of a run's trials went, in lines: the sums, and the sentence of what lost most.

    Examples
    --------
    >>> seconds = dict(loading=1.0, preparing=2.0, computing=6.0, waiting=1.0, seconds=10.0)
    >>> time_words({**seconds, "idle_share": 0.25, "between_share": 0.5, "cores": 2, "sentence": None})[0]
    'Trials: computing 60%, preparing 20%, loading 10%, waiting 10% of 10.0 s; 25% of the core-seconds they held idle.'
    """
    whole = block["seconds"] or 1.0
    named = sorted(("loading", "preparing", "computing", "waiting"), key=lambda name: -block[name])
    shares = ", ".join(f"{name} {block[name] / whole:.0%}" for name in named)
    held = f"{block['idle_share']:.0%} of the core-seconds they held idle"
    lines = [f"Trials: {shares} of {duration(block['seconds'])}; {held}."]
    if block["between_share"] >= 0.01:
        lines.append(
            f"No trial held a core in {block['between_share']:.0%} of the run's core-seconds ({block['cores']} cores): "
            "starting, weighing, deciding."
        )
    return lines + ([block["sentence"]] if block["sentence"] else [])


def times(count: int) -> str:
    """Return how often.

    Examples
    --------
    >>> times(1), times(3)
    ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"
