"""What can be chosen from: measured trials with their quality, latency, cost and size; and their frontier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from steelyard.contracts import Beside, Schema, Task, Trial, Weight
from steelyard.decide.serving import serving_cost
from steelyard.devices import HERE
from steelyard.errors import SpecInvalid
from steelyard.money import Prices
from steelyard.recipe import Recipe
from steelyard.spec import Spec, later_amounts, where
from steelyard.tasks import Metric
from steelyard.units import Estimate, How, Money

NOISE = 1.25
"""Ratio of two latencies, or of costs made of them, that measuring again on a shared machine may well turn round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trial that can be decided on. ``quality`` is of the task's aim, ``validation`` holds every metric by name."""

    number: int
    recipe: Recipe
    quality: Estimate
    p95: Estimate
    """95% of single rows are answered within, ms."""
    there_p95: Estimate | None = None
    """The same on the device that the spec names; ``None`` where it names none."""
    memory_bytes: Estimate | None = None
    cost_per_million: Estimate
    size_bytes: int
    validation: Mapping[str, Estimate] = field(default_factory=dict)
    protocol: str = ""
    p50: Estimate | None = None
    """Half of single rows are answered within, ms."""
    threads: int = 1
    """Threads that one answer may use."""
    calls: int = 1_000
    """How many calls its latency was read from."""
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """Of a shrunk one: by the digest of a recipe that it was made from, how its latency compares to that one's."""

    @property
    def shape(self) -> tuple[float, float, float]:
        """What it costs to have, each better when lower: latency, money, bytes; what is not known is infinite."""
        return _known(self.p95), _known(self.cost_per_million), float(self.size_bytes)


def candidate(trial: Trial, prices: Prices, spec: Spec, task: Task, schema: Schema | None = None) -> Candidate | None:
    """Return what can be decided on, or ``None`` where quality or latency is not measured yet.

    With a schema, only its features count among the columns that ``columns.price`` prices.

    Raises
    ------
    SpecInvalid
        If the spec names a cost in another currency than the prices are in.
    """
    quality = trial.validation.get(task.aim)
    if not trial.ending.usable or trial.weight is None or quality is None or not math.isfinite(quality.value):
        return None
    check_currencies(spec, prices)
    return Candidate(
        number=trial.number,
        recipe=trial.recipe,
        quality=quality,
        p95=trial.weight.p95,
        there_p95=there(trial.weight, spec),
        memory_bytes=trial.weight.memory_bytes,
        cost_per_million=serving_cost(trial.weight, prices, spec, trial.recipe, schema),
        size_bytes=trial.weight.size_bytes,
        validation=trial.validation,
        protocol=trial.protocol,
        p50=trial.weight.p50,
        threads=trial.weight.threads,
        calls=trial.weight.calls,
        beside=trial.weight.beside,
    )


def there(weight: Weight, spec: Spec) -> Estimate | None:
    """Return the p95 latency on the device that a spec names, ms: measured where that is this machine."""
    if spec.edge is None or spec.edge.device is None:
        return None
    if spec.edge.device == HERE:
        return weight.p95
    unknown = Estimate(math.nan, math.nan, math.nan, How.ESTIMATED, "ms", "the run does not know the device")
    return weight.there.get("p95", unknown)


def check_currencies(spec: Spec, prices: Prices) -> None:
    """Refuse a spec whose amounts cannot be compared with the prices in force.

    Raises
    ------
    SpecInvalid
        Naming every amount in another currency.
    """
    amounts = {
        "serving.cost_per_million": spec.serving.cost_per_million,
        "budget.money": spec.budget.money,
        "edge.price_per_device": None if spec.edge is None else spec.edge.price_per_device,
        **{f"columns.price.{name}": price for name, price in spec.columns.price.items()},
        **_values(spec),
        **{".".join(place): given for place, given in later_amounts(spec)},
    }
    wrong = [(name, str(g.currency)) for name, g in amounts.items() if g is not None and g.currency != prices.currency]
    if wrong:
        named = ", ".join(f"{name} ({currency})" for name, currency in wrong)
        other = "/".join(sorted({currency for _, currency in wrong}))
        raise SpecInvalid(
            f"the prices in force are in {prices.currency}, and the spec has amounts in others: {named}; write "
            f"them in {prices.currency}, or give `core_hour` in {other} in a file that `prices:` names"
        )


def _values(spec: Spec) -> dict[str, Money]:
    if spec.value is None:
        return {}
    columns = {} if spec.value.currency is None else {"value.currency": Money(Decimal(0), spec.value.currency)}
    return columns | {where(place): money for place, money in spec.value.amounts()}


def frontier(candidates: Sequence[Candidate], metric: Metric) -> tuple[Candidate, ...]:
    """Return the candidates that no other beats, best quality first.

    One beats another if it is at least as good in quality, p95 latency, cost and size, and better in one of
    them. Of several that are the same in all four, each stays. Point estimates are compared.
    """
    kept = [c for c in candidates if not any(_beats(other, c, metric) for other in candidates)]
    return tuple(sorted(kept, key=lambda c: (-metric.higher_is_better(c.quality.value), c.shape, c.number)))


def _beats(first: Candidate, second: Candidate, metric: Metric) -> bool:
    one, other = ((-metric.higher_is_better(c.quality.value), *c.shape) for c in (first, second))
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _known(figure: Estimate) -> float:
    return figure.value if math.isfinite(figure.value) else math.inf


def cheapest(candidates: Iterable[Candidate], metric: Metric) -> Candidate:
    """Return the cheapest to serve; of those that are not told apart in cost, the fastest; then the best.

    A difference in cost that cannot be told from noise is no reason to prefer anything: neither where intervals
    overlap nor below a ratio of :data:`NOISE`.
    """
    pool = list(candidates)
    pool = _least(pool, [c.cost_per_million for c in pool])
    pool = _least(pool, [c.p95 for c in pool])
    return min(pool, key=lambda c: (-metric.higher_is_better(c.quality.value), c.size_bytes, c.number))


def _least(pool: list[Candidate], figures: list[Estimate]) -> list[Candidate]:
    least = min(figures, key=_known)
    most = max(least.high, least.value * NOISE)
    return [c for c, figure in zip(pool, figures, strict=True) if figure is least or figure.low <= most]
