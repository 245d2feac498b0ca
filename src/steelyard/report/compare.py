"""Several runs side by side, and where they scored the same rows, how far their models are apart on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from steelyard.decide.words import currency_of, figure, money, span, titles
from steelyard.errors import RunUnreadable
from steelyard.measure import paired
from steelyard.report.rows import Json, final_row, quality_of, weighed
from steelyard.report.terminal import bullet, plain_table
from steelyard.report.words import DASH, size
from steelyard.search.making import part_answer, validation_of
from steelyard.search.record import RunRecord
from steelyard.search.store import Store
from steelyard.tasks import metric
from steelyard.units import Estimate


def compare(records: Sequence[RunRecord]) -> Json:
    """Return the figures of runs side by side, what makes them hard to compare, and paired differences to the first.

    A fingerprint covers rows, columns and split: only where it is the same were the models scored on the same rows,
    and a paired difference means something. Otherwise there is none, and ``differs`` says why.

    Raises
    ------
    RunUnreadable
        If there are fewer than two runs.
    """
    if len(records) < 2:
        raise RunUnreadable("there is nothing to compare with; name at least two runs")
    first = records[0]
    return {
        "runs": [_run(record) for record in records],
        "differs": [sentence for other in records[1:] for sentence in differences(first, other)],
        "paired": [_pair(first, other) for other in records[1:]],
    }


def differences(first: RunRecord, other: RunRecord) -> Iterator[str]:
    """Yield, in sentences, what keeps the figures of two runs from being compared as they stand."""
    a, b = first.folder.name, other.folder.name
    if first.task.target != other.task.target or first.task.problem is not other.task.problem:
        targets = f"{b} predicts {other.task.target!r}, {a} predicts {first.task.target!r}"
        yield f"{targets}: their qualities mean different things."
        return
    if first.fingerprint != other.fingerprint:
        yield (
            f"{b} saw other data or another split than {a} (fingerprints {other.fingerprint} and {first.fingerprint}): "
            "their qualities are of different rows, and a difference may be the rows' doing."
        )
    if first.task.aim != other.task.aim:
        yield f"{b} was chosen by {other.task.aim}, {a} by {first.task.aim}."
    elif first.task.value != other.task.value:
        yield f"{b} and {a} put other values on outcomes: their money per decision is of different prices."
    if first.prices.core_hour.amount != other.prices.core_hour.amount:
        core = [f"{r.prices.core_hour.amount} per core-hour" for r in (other, first)]
        yield f"{b} was priced at {core[0]}, {a} at {core[1]}: their costs are not of the same prices."
    if dict(first.machine) != dict(other.machine):
        yield f"{b} and {a} were measured on different machines or versions: latency and cost differ for that too."
    serving = first.spec.serving, other.spec.serving
    if serving[0].traffic != serving[1].traffic:
        yield f"{b} and {a} expect other traffic: a million predictions cost differently for that too."


def _run(record: RunRecord) -> Json:
    decision = record.decision
    return {
        "folder": str(record.folder),
        "name": record.name,
        "created": record.created,
        "ending": record.ending,
        "fingerprint": record.fingerprint,
        "target": record.task.target,
        "aim": record.task.aim,
        "protocol": record.protocol,
        "decision": None if decision is None else _decision(record),
        "trials": len(record.trials),
        "spent": {
            "seconds": float(record.spent.seconds),
            "money": float(record.spent.money.amount),
            "currency": record.spent.money.currency,
        },
    }


def _decision(record: RunRecord) -> Json:
    decision, final = record.decision, record.final
    assert decision is not None, "asked only where something was decided"
    trial = next(t for t in record.trials if t.number == decision.number)
    weight = trial.weight if final is None else final.weight
    figures = weighed(weight, None if final is None else final.cost_per_million)
    shipped = final_row(final, trial)
    return {
        "title": titles((t.number, t.recipe) for t in record.trials)[decision.number],
        "feasible": decision.feasible,
        "validation": quality_of(trial.validation),
        "test": shipped["test"],
        "latency_ms": figures["latency_ms"],
        "p95": figures["figures"].get("latency_p95_ms"),
        "size_bytes": figures["size_bytes"],
        "cost_per_million": figures["figures"].get("cost_per_million"),
    }


def _pair(first: RunRecord, other: RunRecord) -> Json:
    names = {"first": str(first.folder), "second": str(other.folder), "metric": first.task.aim}
    nothing = {**names, "difference": None}
    if first.decision is None or other.decision is None:
        return {**nothing, "sentence": "One of them decided nothing."}
    if first.fingerprint != other.fingerprint or first.task != other.task:
        return {
            **nothing,
            "sentence": "They did not score the same rows by the same metric: there is no paired difference.",
        }
    try:
        found = _difference(first, other)
    except RunUnreadable as problem:
        return {**nothing, "sentence": f"Their answers are not at hand: {problem}."}
    return {**names, "difference": found.to_json(), "sentence": _said(found, first, other)}


def _difference(first: RunRecord, other: RunRecord) -> Estimate:
    """Return first minus other in the first's aim, higher better, on the validation rows of both."""
    dataset = Store(first.folder).dataset()
    where, held = validation_of(dataset)
    clusters = dataset.clusters
    answers = []
    for record in (first, other):
        assert record.decision is not None, "both decided"
        recipe = next(t.recipe for t in record.trials if t.number == record.decision.number)
        answers.append(part_answer(Store(record.folder).answers(recipe), where))
    groups = None if clusters is None else clusters[dataset.partition.validation]
    one, two = answers
    return paired(metric(first.task.aim), dataset.task, held.target, one, two, weights=held.weights, groups=groups)


def _said(found: Estimate, first: RunRecord, other: RunRecord) -> str:
    a, b, aim = first.folder.name, other.folder.name, first.task.aim
    ends = f"difference {span(found)}, on the same validation rows"
    if found.low > 0:
        return f"{a} is better than {b} in {aim} ({ends})."
    if found.high < 0:
        return f"{b} is better than {a} in {aim} ({ends})."
    return f"These rows do not tell {a} and {b} apart in {aim} ({ends})."


def show_compared(found: Json, console: Console) -> None:
    """Print runs side by side: one column a run, then what differs, then paired differences."""
    table = plain_table("Runs side by side")
    table.add_column("", no_wrap=True)
    for run in found["runs"]:
        table.add_column(Text(Path(run["folder"]).name), overflow="fold", justify="right")
    for name, cells in _lines(found["runs"]):
        table.add_row(name, *(Text(cell) for cell in cells))
    console.print(table)
    for sentence in found["differs"]:
        console.print(bullet(sentence, "yellow", "differs"))
    for pair in found["paired"]:
        console.print(bullet(pair["sentence"]))


def _lines(runs: Sequence[Json]) -> Iterator[tuple[str, list[str]]]:
    decided = [run["decision"] or {} for run in runs]
    yield "taken", [d.get("title", DASH) for d in decided]
    yield "meets every target", [("yes" if d["feasible"] else "no") if d else DASH for d in decided]
    for aim in dict.fromkeys(run["aim"] for run in runs):
        for rows in ("validation", "test"):
            yield f"{aim}, {rows}", [_estimate(d.get(rows, {}).get(aim)) for d in decided]
    yield "p95 of one row", [_estimate(d.get("p95"), "ms") for d in decided]
    yield "size", [size(d.get("size_bytes")) for d in decided]
    yield "a million predictions", [_money(d.get("cost_per_million")) for d in decided]
    yield "trials", [str(run["trials"]) for run in runs]
    yield "spent", [money(run["spent"]["money"], run["spent"]["currency"]) for run in runs]
    yield "took", [f"{figure(run['spent']['seconds'])} s" for run in runs]
    yield "data", [run["fingerprint"] for run in runs]


def _estimate(found: Any, unit: str = "") -> str:
    return DASH if found is None or found["value"] is None else span(Estimate.from_json(found), unit)


def _money(found: Any) -> str:
    return DASH if found is None else money(found["value"], currency_of(found["unit"]))
