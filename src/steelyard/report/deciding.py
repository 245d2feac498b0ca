"""What the page needs to decide again for other wishes: figures of each candidate, pairs, targets, prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from steelyard.contracts import Trial
from steelyard.decide import Candidate, candidate
from steelyard.decide.columns import whole
from steelyard.decide.serving import collecting
from steelyard.decide.shrunk import gains, line_of
from steelyard.decide.targets import Target, edge_figures, targets
from steelyard.money.serving import MILLION
from steelyard.recipe import Recipe, Shrink, Train
from steelyard.report.rows import Json
from steelyard.search.compared import Compared
from steelyard.search.comparing import altered_pairs
from steelyard.search.outcomes import prices_of
from steelyard.search.record import RunRecord
from steelyard.tasks import metric
from steelyard.units import Estimate

SERVED = frozenset({"latency_p95_ms", "size_mb", "cost_per_million"})


def deciding(record: RunRecord, names: Mapping[int, str]) -> Json | None:
    """Return the block, or ``None`` where nothing was decided, or nothing compared (an older run, or one going on).

    Estimates are ``[value, low, high]``. ``pairs`` are ``[first, second, value, low, high]``, first minus second in
    the aim, higher better. ``outcomes`` holds, by trial, the shares of ``names`` and the upper triangle of their
    covariance; ``spreads`` that of a difference.
    """
    compared, spec = record.compared, record.spec
    if record.decision is None or compared is None:
        return None
    found = [(t, c) for t in record.trials if (c := _candidate(t, record)) is not None]
    every = [c for _, c in found]
    asked = targets(spec, record.task)
    traffic = spec.serving.traffic
    return {
        "aim": record.task.aim,
        "higher": metric(record.task.aim).better == "higher",
        "tolerance": spec.quality.tolerance,
        "lose": spec.quality.tolerance if spec.shrink.lose is None else spec.shrink.lose,
        "baseline": compared.baseline,
        "targets": [_target(t) for t in asked],
        "wishes": {
            "core_hour": float(record.prices.core_hour.amount.amount),
            "mean_rps": None if traffic is None else traffic.mean_rps,
            "peak_rps": None if traffic is None else traffic.peak_rps,
            "latency_p95_ms": spec.serving.latency_p95_ms,
            "values": None if (prices := prices_of(record.task)) is None else list(prices),
            "horizon_months": spec.horizon_months,
        },
        "currency": record.prices.currency,
        "spent": float(record.spent.money.amount),
        "candidates": [{"title": names[c.number], **_figures(t, c, every, record)} for t, c in found],
        "pairs": _pairs(compared),
        "outcomes": _outcomes(compared, record),
    }


def judged(record: RunRecord) -> Json | None:
    """Return confusion and calibration of the chosen model on the validation rows, where they were counted."""
    if record.compared is None or record.compared.judged is None:
        return None
    return record.compared.judged.to_json()


def _candidate(trial: Trial, record: RunRecord) -> Candidate | None:
    return candidate(trial, record.prices, record.spec, record.task, record.schema)


def _target(target: Target) -> Json:
    normal = NormalDist()
    sure = target.confidence
    widen = None if sure is None else normal.inv_cdf((1 + sure) / 2) / normal.inv_cdf(0.975)
    return {"name": target.name, "asked": target.asked, "at": target.at, "widen": widen}


def _figures(trial: Trial, one: Candidate, every: Sequence[Candidate], record: RunRecord) -> Json:
    assert trial.weight is not None, "only what was weighed is a candidate"
    by_recipe: dict[Recipe, int] = {c.recipe: c.number for c in every}
    recipe, row = trial.recipe, collecting(record.spec, trial.recipe, record.schema)
    asked = targets(record.spec, record.task)
    wanted = [t.name for t in asked if t.name not in SERVED and t.name in one.validation]
    bare = by_recipe.get(whole(recipe)) if isinstance(recipe, Train) else None
    compared = record.compared
    return {
        "number": one.number,
        "quality": _ends(one.quality),
        "metrics": {name: _ends(one.validation[name]) for name in wanted} | _there(asked, one),
        "p95": _ends(one.p95),
        "busy": _ends(trial.weight.busy),
        "threads": trial.weight.threads,
        "size_bytes": one.size_bytes,
        "collecting": 0.0 if row is None else float(row.amount * MILLION),
        "expected": None if compared is None else compared.expected.get(one.number),
        "ceiling": bare if bare != one.number else None,
        "parent": by_recipe.get(recipe.parent) if isinstance(recipe, Shrink) else None,
        "line": _line(one, every, record),
        "altered": [list(pair) for pair in altered_pairs(one, every)],
    }


def _line(one: Candidate, every: Sequence[Candidate], record: RunRecord) -> list[list[Any]] | None:
    """Return the models that a shrunk one was made from, nearest first: number, and whether it gained enough over it.

    ``None`` for a model that is not shrunk.
    """
    if not isinstance(one.recipe, Shrink):
        return None
    least = record.spec.shrink.least
    return [[other.number, gains(one, other, *least)] for other in line_of(one, {c.recipe: c for c in every})]


def _there(asked: Sequence[Target], one: Candidate) -> Json:
    """Return what the limits on a device are held against."""
    known = edge_figures(one.there_p95, one.memory_bytes, one.size_bytes)
    return {t.name: _ends(known[t.name]) for t in asked if t.name in known}


def _pairs(compared: Compared) -> list[list[float]]:
    return [[a, b, e.value, e.low, e.high] for (a, b), e in sorted(compared.pairs.items())]


def _outcomes(compared: Compared, record: RunRecord) -> Json | None:
    """Return what decisions came to; nothing where the values in force say more than these outcomes do."""
    if not compared.outcomes or (record.task.value is not None and prices_of(record.task) is None):
        return None
    return {
        "names": list(compared.names),
        "of": {str(k): [list(mean), list(spread)] for k, (mean, spread) in compared.outcomes.items()},
        "spreads": [[a, b, list(spread)] for (a, b), spread in compared.spreads.items()],
    }


def _ends(estimate: Estimate) -> list[Any]:
    known: Json = estimate.to_json()
    return [known["value"], known["low"], known["high"]]
