"""The targets of a spec, and how far a candidate is from each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

from steelyard.contracts import Task
from steelyard.decide.candidates import Candidate
from steelyard.decide.decision import TargetCheck
from steelyard.decide.words import figure, money, span, unit_of
from steelyard.spec import Spec
from steelyard.tasks import default_aim
from steelyard.tasks import metric as metric_named
from steelyard.units import Estimate, How

MEGABYTE = 1_000_000
_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a spec asks for: at least, or at most, so much."""

    name: str
    asked: float
    at: Literal["least", "most"]
    unit: str
    confidence: float | None = None
    """Ask for the end of this interval instead of the estimate; quality only."""


def targets(spec: Spec, task: Task) -> tuple[Target, ...]:
    """Return what the spec asks for, quality first.

    Quality is asked of the metric that the spec names, else of the task's usual one: money is only meant by its name,
    even where values make it what choosing goes by.
    """
    quality, found = spec.quality, []
    name = default_aim(task.problem) if quality.metric is None else quality.metric
    unit = unit_of(metric_named(name), task)
    if quality.at_least is not None:
        found.append(Target(name, quality.at_least, "least", unit, quality.confidence))
    if quality.at_most is not None:
        found.append(Target(name, quality.at_most, "most", unit, quality.confidence))
    return (*found, *serving_targets(spec))


def serving_targets(spec: Spec) -> tuple[Target, ...]:
    """Return what the spec asks of latency, size and cost."""
    serving, found = spec.serving, []
    if serving.latency_p95_ms is not None:
        found.append(Target("latency_p95_ms", serving.latency_p95_ms, "most", "ms"))
    if serving.size_mb is not None:
        found.append(Target("size_mb", serving.size_mb, "most", "MB"))
    if (cost := serving.cost_per_million) is not None:
        found.append(Target("cost_per_million", float(cost.amount), "most", cost.currency))
    return (*found, *_edge_targets(spec))


def _edge_targets(spec: Spec) -> tuple[Target, ...]:
    """Return the limits on the device."""
    edge, units = spec.edge, {"edge_latency_p95_ms": "ms", "edge_memory_mb": "MB", "edge_size_mb": "MB"}
    if edge is None:
        return ()
    asked = {name: getattr(edge, name.removeprefix("edge_")) for name in units}
    return tuple(Target(name, most, "most", units[name]) for name, most in asked.items() if most is not None)


def check(target: Target, candidate: Candidate) -> TargetCheck:
    """Hold one candidate against one target."""
    return hold(target, _figure_of(target, candidate))


def hold(target: Target, got: Estimate) -> TargetCheck:
    """Hold a figure against a target."""
    reached = got.value if target.confidence is None else _bound(got, target.at, target.confidence)
    short = (target.asked - reached) * (1 if target.at == "least" else -1)
    short = short if math.isfinite(short) else math.inf
    met = short <= 0
    checked = TargetCheck(
        name=target.name,
        asked=target.asked,
        at=target.at,
        got=got,
        met=met,
        probability=probability(got, target.asked, target.at),
        short=0.0 if met else short,
    )
    return replace(checked, sentence=_sentence(checked, target, reached))


def probability(got: Estimate, asked: float, at: Literal["least", "most"]) -> float | None:
    """Return the probability that the true figure meets a target, by a normal approximation of its interval.

    Examples
    --------
    >>> round(probability(Estimate(0.8, 0.75, 0.85), 0.78, "least"), 2)
    0.78
    >>> probability(Estimate.exact(0.8), 0.78, "least") is None
    True
    """
    spread = (got.high - got.low) / (2 * _Z95)
    if not math.isfinite(got.value) or not spread > 0:
        return None
    above = _NORMAL.cdf((got.value - asked) / spread)
    return above if at == "least" else 1 - above


def share_missing(checked: TargetCheck, candidate: Candidate, baseline: Candidate | None) -> float:
    """Return how far a target is from being met, from 0 (met) to 1, so that targets can be compared.

    Quality: the share missing of the way from the baseline to the target. Latency, cost and size: the share
    by which the figure would have to fall.
    """
    if checked.met:
        return 0.0
    if not math.isfinite(checked.got.value):
        return 1.0
    if checked.name not in candidate.validation:
        return 1 - checked.asked / (checked.asked + checked.short)
    start = baseline.validation.get(checked.name) if baseline is not None else None
    way = abs(checked.asked - start.value) if start is not None else abs(checked.asked)
    return min(1.0, checked.short / way) if way > 0 else 1.0


def amount(target: Target, value: float) -> str:
    """Return a figure in the unit of a target, as short as it can be said: ``20 ms``, ``0.08 USD``, ``0.78``."""
    if target.name == "cost_per_million":
        return money(value, target.unit)
    return f"{_plain(value)} {target.unit}".rstrip()


def _plain(value: float) -> str:
    text = figure(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _figure_of(target: Target, candidate: Candidate) -> Estimate:
    served = serving_figures(candidate.p95, candidate.size_bytes, candidate.cost_per_million)
    served |= edge_figures(candidate.there_p95, candidate.memory_bytes, candidate.size_bytes)
    if target.name in served:
        return served[target.name]
    return candidate.validation.get(target.name, Estimate(math.nan, math.nan, math.nan))


def serving_figures(p95: Estimate, size_bytes: int, cost_per_million: Estimate) -> dict[str, Estimate]:
    """Return what serving takes, by the names of the targets."""
    size = Estimate.exact(size_bytes / MEGABYTE, unit="MB")
    return {"latency_p95_ms": p95, "size_mb": size, "cost_per_million": cost_per_million}


def edge_figures(p95: Estimate | None, memory: Estimate | None, size_bytes: int) -> dict[str, Estimate]:
    """Return what answering on the device takes, by the names of the targets; NaN for what is not known."""
    unknown = Estimate(math.nan, math.nan, math.nan)
    return {
        "edge_latency_p95_ms": p95 or unknown,
        "edge_memory_mb": unknown if memory is None else memory.scaled(1 / MEGABYTE, unit="MB", source=memory.source),
        "edge_size_mb": Estimate.exact(size_bytes / MEGABYTE, unit="MB"),
    }


def _bound(got: Estimate, at: Literal["least", "most"], confidence: float) -> float:
    """Return the end of the interval of that confidence, widened or narrowed from the 95% one as a normal's is."""
    factor = _NORMAL.inv_cdf((1 + confidence) / 2) / _Z95
    end = got.low if at == "least" else got.high
    return got.value + (end - got.value) * factor


def _sentence(checked: TargetCheck, target: Target, reached: float) -> str:
    name, asked = NAMES.get(target.name, target.name), f"at {checked.at} {amount(target, checked.asked)}"
    if not math.isfinite(checked.got.value):
        return f"{name} could not be measured on these rows; asked: {asked}."
    bound = "" if target.confidence is None else f" (its {target.confidence:.0%} bound: {figure(reached)})"
    verdict, by = ("meets", "") if checked.met else ("misses", f" by {amount(target, checked.short)}")
    chance = "" if checked.probability is None else f" (probability of meeting it: {percent(checked.probability)})"
    return f"{name} {_got(checked, target)}{bound} {verdict} the target of {asked}{by}{chance}."


def _got(checked: TargetCheck, target: Target) -> str:
    if target.name == "cost_per_million":
        return money(checked.got.value, target.unit)
    return _known(checked.got, span(checked.got, target.unit))


def _known(got: Estimate, text: str) -> str:
    """Say of a figure that was not measured how it is known, and on what that rests."""
    return text if got.how is How.MEASURED else f"{text} ({got.how.value}: {got.source})"


NAMES = {
    "latency_p95_ms": "p95 latency",
    "size_mb": "size",
    "cost_per_million": "cost per million",
    "edge_latency_p95_ms": "p95 latency on the device",
    "edge_memory_mb": "memory on the device",
    "edge_size_mb": "size on the device",
}


def percent(share: float) -> str:
    """Return a probability that never claims certainty.

    Examples
    --------
    >>> percent(0.634), percent(0.9999), percent(0.0004)
    ('63%', 'over 99%', 'under 1%')
    """
    if share > 0.99:
        return "over 99%"
    return "under 1%" if share < 0.01 else f"{share:.0%}"
