"""How sure a decision is: chances, regret, luck taken off, and the price of each target."""

import json

import numpy as np
import pytest

from steelyard.contracts import Problem, Task
from steelyard.decide import Decision, decide
from steelyard.spec import Quality, Serving, Traffic
from steelyard.tasks import metric


def joint(candidates, spread=0.01, seed=0, sign=1.0):
    def draws(numbers):
        random = np.random.default_rng(seed)
        value = {c.number: sign * c.quality.value for c in candidates}
        return np.array([value[n] for n in numbers]) + spread * random.normal(size=(4000, len(numbers)))

    return draws


def decided(bench, candidates, *, spread=0.01, aim="roc_auc", task=None, **parts):
    more = {"spec": bench.spec(**parts), "task": task or bench.task}
    sign = metric(aim).higher_is_better(1.0)
    paired = bench.paired(candidates, 0.02)
    return decide(candidates, metric=metric(aim), paired=paired, joint=joint(candidates, spread, sign=sign), **more)


def test_chances_add_up_to_one_and_are_those_of_the_draws(bench):
    candidates = [bench.candidate(1, 0.80), bench.candidate(2, 0.79), bench.candidate(3, 0.70)]
    right = decided(bench, candidates, quality=Quality(tolerance=0.0)).right
    assert sum(right.probability.values()) == pytest.approx(1.0)
    assert right.probability[1] == pytest.approx(0.76, abs=0.02)  # normal: a lead of 0.01 over a spread of 0.0141
    assert 3 not in right.probability


def test_right_is_the_cheapest_within_the_tolerance_of_the_best(bench):
    candidates = [bench.candidate(1, 0.80, cost=0.5), bench.candidate(2, 0.795, cost=0.1)]
    right = decided(bench, candidates, spread=1e-6).right
    assert right.probability == {2: 1.0}
    assert right.regret.runner_up == 2
    assert right.regret.cost_per_million == pytest.approx(0.4)


def test_what_the_rows_show_to_be_worse_is_not_right_for_being_cheaper(bench):
    candidates = [bench.candidate(1, 0.80, cost=0.5), bench.candidate(2, 0.795, cost=0.1)]
    sure = bench.paired(candidates, 0.004)  # the interval of the difference, 0.001 to 0.009, leaves zero out
    decision = decide(
        candidates,
        metric=metric("roc_auc"),
        paired=sure,
        joint=joint(candidates, 1e-6),
        spec=bench.spec(),
        task=bench.task,
    )
    assert decision.number == 1
    assert decision.right.probability == {1: 1.0}


def test_regret_is_the_lead_over_the_runner_up_with_its_interval(bench):
    candidates = [bench.candidate(1, 0.80), bench.candidate(2, 0.77)]
    regret = decided(bench, candidates).right.regret
    assert regret.runner_up == 2
    assert regret.quality.value == pytest.approx(0.03)
    assert regret.quality.high - regret.quality.low == pytest.approx(2 * 1.96 * 0.01 * 2**0.5, rel=0.05)
    assert regret.month is None


def test_with_values_and_traffic_regret_is_money_a_month(bench):
    value = ((0.0, -1.0), (-5.0, 0.0))
    task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y", value=value)
    candidates = [bench.candidate(1, 100.0), bench.candidate(2, 90.0)]
    serving = Serving(traffic=Traffic(mean_rps=1))
    regret = decided(bench, candidates, aim="value", task=task, serving=serving).right.regret
    assert regret.month.value == pytest.approx(10.0 / 1000 * 2_629_800)
    assert regret.month.unit == "USD per month"


def test_luck_is_taken_off_the_best_of_many_and_not_off_one_that_is_alone(bench):
    crowd = [bench.candidate(n, 0.80) for n in range(8)]
    quality = Quality(tolerance=0.0)
    flattered, alone = (decided(bench, some, quality=quality).right.expected for some in (crowd, crowd[:1]))
    assert flattered.value == pytest.approx(0.80 - 0.01 * 1.42, abs=0.001)  # the mean of the highest of 8 normals
    assert alone.value == pytest.approx(0.80)


def test_an_error_is_flattered_downwards(bench):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    crowd = [bench.candidate(n, 5.0) for n in range(8)]
    expected = decided(bench, crowd, aim="rmse", task=task, quality=Quality(tolerance=0.0)).right.expected
    assert expected.value > 5.01


def test_each_target_has_its_price_and_the_tightest_is_marked(bench):
    near, far = bench.candidate(1, 0.88, ms=25.0, cost=0.2), bench.candidate(2, 0.70, ms=15.0, cost=0.1)
    parts = {"quality": Quality(metric="roc_auc", at_least=0.9), "serving": Serving(latency_p95_ms=20)}
    right = decided(bench, [near, far], **parts).right
    quality, latency = right.relaxing
    assert right.probability == {}
    assert (quality.target, quality.tightest, quality.number) == ("roc_auc", True, 2)
    assert quality.by == pytest.approx(0.2)
    assert quality.at_step == 1
    assert (latency.number, latency.short_by) == (None, 5.0)
    assert "Relaxing p95 latency alone does not help" in latency.sentence


def test_where_targets_are_met_the_least_that_changes_the_answer_is_told(bench):
    slow, fast = bench.candidate(1, 0.90, ms=28.0, cost=0.5), bench.candidate(2, 0.80, ms=5.0, cost=0.1)
    (latency,) = decided(bench, [slow, fast], serving=Serving(latency_p95_ms=20)).right.relaxing
    assert (latency.by, latency.number, latency.at_step) == (8.0, 1, 1)
    assert latency.quality == pytest.approx(0.1)
    assert latency.sentence.startswith(
        "With p95 latency relaxed by 8 ms (to 28 ms), model-1 would be taken: 0.100 more"
    )
    (free,) = decided(bench, [fast], serving=Serving(latency_p95_ms=20)).right.relaxing
    assert free.by is None
    assert "costs nothing" in free.sentence


def test_it_survives_the_way_through_json_and_older_decisions_have_none(bench):
    candidates = [bench.candidate(1, 0.90, ms=28.0), bench.candidate(2, 0.80, ms=5.0), bench.candidate(3, 0.81)]
    decision = decided(bench, candidates, serving=Serving(latency_p95_ms=20))
    kept = json.loads(json.dumps(decision.to_json()))
    assert Decision.from_json(kept) == decision
    del kept["right"]
    assert Decision.from_json(kept).right is None
