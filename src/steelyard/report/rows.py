"""One trial, one shipped model: their figures as plain JSON, under the names that the report keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.contracts import Trial, Weight
from steelyard.decide import serving_cost
from steelyard.money import Ledger
from steelyard.recipe import Recipe, describe, to_json
from steelyard.search.record import Final, RunRecord
from steelyard.units import Estimate

Json = dict[str, Any]


def recipe_of(recipe: Recipe, title: str) -> Json:
    """Return a recipe three ways: a title, a description, and the whole tree."""
    return {"title": title, "recipe": describe(recipe), "recipe_tree": to_json(recipe)}


def quality_of(figures: Mapping[str, Estimate]) -> Json:
    """Return every metric by name as ``{value, low, high}``."""
    return {name: estimate.to_json() for name, estimate in sorted(figures.items())}


def weighed(weight: Weight | None, cost: Estimate | None) -> Json:
    """Return latency, size and cost as numbers; ``figures`` holds them again with interval, unit and source."""
    if weight is None:
        return {"latency_ms": None, "size_bytes": None, "cost_per_million": None, "figures": {}}
    estimates = {
        "latency_p50_ms": weight.p50,
        "latency_p95_ms": weight.p95,
        "latency_p99_ms": weight.p99,
        "throughput_rps": weight.throughput,
        "throughput_batch_rows": Estimate.exact(float(weight.batch), unit="rows"),
        "memory_bytes": weight.memory_bytes,
        **({} if weight.mean is None else {"latency_mean_ms": weight.mean}),
        **({} if cost is None else {"cost_per_million": cost}),
    }
    figures = {name: estimate.to_json() for name, estimate in estimates.items()}
    latency = {name: figures[f"latency_{name}_ms"]["value"] for name in ("p50", "p95", "p99")}
    return {
        "latency_ms": latency,
        "size_bytes": weight.size_bytes,
        "cost_per_million": figures["cost_per_million"]["value"] if cost is not None else None,
        "figures": figures,
    }


def trial_row(trial: Trial, title: str, record: RunRecord, ledger: Ledger) -> Json:
    """Return one trial: what it was, how it ended, what was measured, what it cost, and what became of it."""
    decision = record.decision
    cost = None
    if trial.weight is not None:
        cost = serving_cost(trial.weight, record.prices, record.spec, trial.recipe, record.schema)
    number = trial.number
    return {
        "number": number,
        **recipe_of(trial.recipe, title),
        "lever": trial.lever,
        "ending": trial.ending.name.lower(),
        "ending_sentence": trial.ending.value,
        "note": trial.note,
        "protocol": trial.protocol,
        "rounds": list(trial.rounds),
        "validation": quality_of(trial.validation),
        **weighed(trial.weight, cost),
        "seconds": float(trial.seconds),
        "cpu_seconds": float(trial.cpu_seconds),
        "cost": float(ledger.of_trial(number).amount),
        "chosen": decision is not None and decision.number == number,
        "rejected": None if decision is None else decision.rejected.get(number),
        "passed_over": None if decision is None else decision.passed_over.get(number),
        "outcomes": dict(trial.outcomes) or None,
    }


def final_row(final: Final | None, trial: Trial) -> Json:
    """Return what ships; before the bundle is final, what is known of the trial that was chosen."""
    if final is None:
        return {
            "bundle": None,
            "refitted": False,
            "rounds": list(trial.rounds),
            "validation": quality_of(trial.validation),
            "test": {},
        }
    return {
        "bundle": None if final.bundle is None else str(final.bundle),
        "refitted": final.refitted,
        "rounds": list(final.rounds),
        "validation": quality_of(final.validation),
        "test": quality_of(final.test),
    }
