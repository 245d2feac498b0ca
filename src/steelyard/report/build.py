"""The report: one plain structure that every view reads, and that ``steelyard run --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.contracts import Trial
from steelyard.decide import candidate, serving_cost
from steelyard.decide.words import titles, unit_of
from steelyard.money import Ledger, Price
from steelyard.report.advice import advice
from steelyard.report.attribution import attribution
from steelyard.report.bottlenecks import bottlenecks
from steelyard.report.capacity import capacity
from steelyard.report.deciding import deciding, judged
from steelyard.report.edge import edge
from steelyard.report.forecast import forecast
from steelyard.report.ladder import ladder
from steelyard.report.returns import returns
from steelyard.report.rows import Json, final_row, recipe_of, trial_row, weighed
from steelyard.report.value import value
from steelyard.search.record import RunRecord
from steelyard.tasks import metric

VERSION = 1
"""Of the structure. It counts up when a name changes its meaning or goes; new names alone leave it as it is."""


def build(record: RunRecord) -> Json:
    """Return everything that a run has to tell, as plain JSON; ``report/schema.json`` is its JSON Schema.

    ``decision`` is ``None`` only where nothing was measured. Trials and frontier carry validation figures; those
    of the test rows stand in the decision alone.
    """
    ledger = Ledger.of(record.entries, record.prices.currency)
    names = _names(record)
    rows = [trial_row(t, names[t.number], record, ledger) for t in record.trials]
    line = () if record.decision is None else record.decision.frontier
    by_number = {row["number"]: row for row in rows}
    return {
        "version": VERSION,
        "name": record.name,
        "created": record.created,
        "folder": str(record.folder),
        "fingerprint": record.fingerprint,
        "task": _task(record),
        "ending": record.ending,
        "spent": {
            "seconds": float(record.spent.seconds),
            "money": float(record.spent.money.amount),
            "currency": record.spent.money.currency,
            "labels": record.spent.labels,
        },
        "decision": _decision(record, names),
        "attribution": attribution(record),
        "frontier": [by_number[number] for number in line],
        "trials": rows,
        "ladder": ladder(record, rows),
        "deciding": deciding(record, names),
        "judged": judged(record),
        "forecast": forecast(record),
        "checks": [dict(finding) for finding in record.findings],
        "ledger": _ledger(ledger),
        "prices": {"core_hour": _price(record.prices.core_hour), "label": _price(record.prices.label)},
        "value": value(record),
        "protocol": record.protocol,
        "row_counts": dict(record.row_counts),
        "columns": [{"name": c.name, "kind": c.kind.value, "missing": c.missing} for c in record.schema.columns],
        "test_reads": record.test_reads,
        "machine": dict(record.machine),
        "notes": list(dict.fromkeys((*record.notes, *record.prices.old()))),
        "returns": returns(record),
        "bottlenecks": bottlenecks(record),
        "spec": record.spec.to_yaml(),
        "capacity": capacity(record),
        "edge": edge(record),
        "advice": advice(record),
    }


def _names(record: RunRecord) -> dict[int, str]:
    """Name candidates as the decision does, among themselves; trials without figures by their number, if need be."""
    candidates = [t for t in record.trials if candidate(t, record.prices, record.spec, record.task) is not None]
    every, chosen_from = (titles((t.number, t.recipe) for t in some) for some in (record.trials, candidates))
    return every | chosen_from


def _task(record: RunRecord) -> Json:
    aim = metric(record.task.aim)
    return {
        "problem": record.task.problem.value,
        "target": record.task.target,
        "classes": list(record.task.classes),
        "positive": record.task.positive,
        "aim": aim.name,
        "better": aim.better,
        "unit": unit_of(aim, record.task),
    }


def _decision(record: RunRecord, names: Mapping[int, str]) -> Json | None:
    decision = record.decision
    if decision is None:
        return None
    trial = _trial(record, decision.number)
    final = record.final
    weight = trial.weight if final is None else final.weight
    cost = None if final is None else final.cost_per_million
    if cost is None and weight is not None:
        cost = serving_cost(weight, record.prices, record.spec, trial.recipe, record.schema)
    return {
        "number": decision.number,
        "feasible": decision.feasible,
        **recipe_of(trial.recipe, names[decision.number]),
        "reasons": list(decision.reasons),
        **final_row(final, trial),
        **weighed(weight, cost),
        "targets": [target.to_json() for target in decision.targets],
        "tightest": decision.tightest,
        "equal": list(decision.equal),
        "right": None if decision.right is None else decision.right.to_json(),
    }


def _trial(record: RunRecord, number: int) -> Trial:
    return next(t for t in record.trials if t.number == number)


def _ledger(ledger: Ledger) -> Json:
    return {
        "currency": ledger.currency,
        "total": float(ledger.total.amount),
        "totals": {kind: float(money.amount) for kind, money in ledger.totals().items()},
        "entries": [entry.to_json() for entry in ledger],
    }


def _price(price: Price | None) -> dict[str, Any] | None:
    if price is None:
        return None
    money = price.amount
    return {**price.to_json(), "amount": float(money.amount), "currency": money.currency}
