"""What can be decided on, and what no other beats."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from steelyard.contracts import Column, Ending, Kind, Schema, Trial, Weight
from steelyard.decide import candidate, check_currencies, frontier
from steelyard.errors import SpecInvalid
from steelyard.money import Prices
from steelyard.recipe import Train
from steelyard.spec import Budget, ColumnsPart, Serving, SplitPart, Value
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
    named = "serving.cost_per_million (EUR), budget.money (EUR), value.right (EUR), value.wrong (EUR)"
    assert named in str(problem.value)
    assert "core_hour` in EUR" in str(problem.value)


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


PRICED = ColumnsPart(price={"income": "0.02 USD", "visits": "0.01 USD"})


def test_what_columns_cost_to_collect_is_part_of_the_cost_of_serving(bench):
    free = candidate(trial(), Prices.load(), bench.spec(), bench.task).cost_per_million
    paid = candidate(trial(), Prices.load(), bench.spec(columns=PRICED), bench.task).cost_per_million
    assert paid.value - free.value == pytest.approx(30_000)
    assert paid.low - free.low == pytest.approx(30_000)
    assert "collecting the priced columns of a row: 0.03 USD" in paid.source


def test_only_columns_that_a_model_may_read_are_paid_for(bench):
    free = candidate(trial(), Prices.load(), bench.spec(), bench.task).cost_per_million
    aside = bench.spec(columns=ColumnsPart(price={"w": 1, "s": 1}, weight="w"), split=SplitPart(column="s"))
    assert candidate(trial(), Prices.load(), aside, bench.task).cost_per_million == free
    schema = Schema((Column(name="income", kind=Kind.NUMBER), Column(name="visits", kind=Kind.ID)))
    read = candidate(trial(), Prices.load(), bench.spec(columns=PRICED), bench.task, schema).cost_per_million
    assert read.value - free.value == pytest.approx(20_000)


def test_the_constant_model_needs_no_column(bench):
    constant = trial(recipe=Train(learner="constant"))
    priced, free = (
        candidate(constant, Prices.load(), s, bench.task) for s in (bench.spec(columns=PRICED), bench.spec())
    )
    assert priced == free


def test_free_compute_costs_nothing_and_is_decided_on_like_any_other(bench, tmp_path):
    (tmp_path / "prices.yaml").write_text("core_hour: {discount: 1}\n")
    prices = Prices.load(tmp_path / "prices.yaml")
    spec = bench.spec(serving=Serving(cost_per_million=0))
    several = [candidate(trial(number=k, weight=weight(1.0 + k)), prices, spec, bench.task) for k in range(3)]
    assert [c.cost_per_million.value for c in several] == [0.0, 0.0, 0.0]
    decision = bench.decide(several, serving=Serving(cost_per_million=0), baseline=2)
    assert (decision.number, decision.feasible) == (0, True)
    dear = candidate(trial(number=9), Prices.load(), spec, bench.task)
    assert not bench.decide([dear], serving=Serving(cost_per_million=0)).feasible
