"""What can be decided on, and what no other beats."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from steelyard.contracts import Ending, Trial, Weight
from steelyard.decide import candidate, check_currencies, frontier
from steelyard.errors import SpecInvalid
from steelyard.money import Prices
from steelyard.recipe import Train
from steelyard.spec import Budget, Serving, Value
from steelyard.tasks import metric
from steelyard.units import Estimate, Money


def weight(ms=1.0):
    figure = Estimate.exact(ms, unit="ms")
    return Weight(
        p50=figure,
        p95=figure,
        p99=figure,
        throughput=Estimate.exact(1000.0),
        batch=32,
        size_bytes=2000,
        memory_bytes=Estimate.exact(1e6),
        threads=1,
        calls=200,
    )


def trial(**changes):
    measured = Trial(
        number=3,
        recipe=Train(learner="linear"),
        lever="start",
        ending=Ending.MEASURED,
        validation={"roc_auc": Estimate(0.8, 0.7, 0.9)},
        protocol="holdout",
        weight=weight(),
    )
    return replace(measured, **changes)


def test_a_measured_trial_becomes_a_candidate_with_its_cost(bench):
    found = candidate(trial(), Prices.load(), bench.spec(), bench.task)
    assert (found.number, found.size_bytes, found.quality.value) == (3, 2000, 0.8)
    assert found.cost_per_million.value == pytest.approx(1e-3 / 3600 * 0.0504 * 1e6)


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": None},
        {"ending": Ending.PRUNED},
        {"validation": {}},
        {"validation": {"roc_auc": Estimate(float("nan"), float("nan"), float("nan"))}},
    ],
)
def test_a_trial_without_quality_or_latency_cannot_be_decided_on(bench, changes):
    assert candidate(trial(**changes), Prices.load(), bench.spec(), bench.task) is None


def test_amounts_in_another_currency_than_the_prices_are_refused_all_at_once(bench):
    spec = bench.spec(
        serving=Serving(cost_per_million="3 EUR"),
        budget=Budget(money="5 EUR"),
        value=Value(right="1 EUR", wrong="-1 EUR"),
    )
    with pytest.raises(SpecInvalid) as problem:
        check_currencies(spec, Prices.load())
    names = [line.split(" ")[0] for line in str(problem.value).splitlines()]
    assert names == ["serving.cost_per_million", "budget.money", "value.right", "value.wrong"]
    assert "core_hour" in str(problem.value)


def test_amounts_in_the_currency_of_the_prices_pass(bench):
    check_currencies(bench.spec(budget=Budget(money=Money(Decimal(5)))), Prices.load())


def test_the_frontier_is_what_brute_force_finds(bench):
    rng = random.Random(11)
    crowd = [
        bench.candidate(
            k, rng.randrange(5) / 10, ms=rng.randrange(1, 4), cost=rng.randrange(1, 4), size=rng.randrange(1, 4)
        )
        for k in range(60)
    ]

    def no_worse(a, b):
        return a.quality.value >= b.quality.value and all(x <= y for x, y in zip(a.shape, b.shape, strict=True))

    expected = {b.number for b in crowd if not any(no_worse(a, b) and not no_worse(b, a) for a in crowd)}
    assert {c.number for c in frontier(crowd, metric("roc_auc"))} == expected
    assert 0 < len(expected) < 60


def test_the_frontier_of_an_error_prefers_the_lower(bench):
    low, high = bench.candidate(1, 10.0), bench.candidate(2, 20.0)
    assert [c.number for c in frontier([high, low], metric("rmse"))] == [1]


def test_the_frontier_is_sorted_by_quality_best_first(bench):
    crowd = [bench.candidate(k, 0.5 + k / 10, ms=1.0 + k, cost=1.0 + k, size=k + 1) for k in range(4)]
    assert [c.number for c in frontier(crowd, metric("roc_auc"))] == [3, 2, 1, 0]
