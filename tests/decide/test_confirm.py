"""What ships is what the targets are held against in the end."""

import pytest

from steelyard.contracts import Weight
from steelyard.decide import confirm
from steelyard.money import Prices
from steelyard.recipe import Train
from steelyard.spec import ColumnsPart, Quality, Serving
from steelyard.units import Estimate

PRICES = Prices.load()


def weight(ms=1.2, size=783_000):
    p50, p95 = Estimate(ms, ms, ms, unit="ms"), Estimate(ms, ms - 0.1, ms + 0.1, unit="ms")
    none = Estimate.exact(1.0)
    return Weight(
        p50=p50, p95=p95, p99=p95, throughput=none, batch=1, size_bytes=size, memory_bytes=none, threads=1, calls=200
    )


@pytest.fixture
def decided(bench):
    def make(size=600_000, quality=0.785, **serving):
        parts = {"quality": Quality(metric="roc_auc", at_least=0.78), "serving": Serving(**serving)}
        decision = bench.decide([bench.candidate(3, quality, size=size)], **parts)
        return decision, bench.spec(**parts)

    return make


def test_a_shipped_bundle_that_outgrew_its_target_makes_the_decision_infeasible_and_says_so(decided):
    decision, spec = decided(latency_p95_ms=20, size_mb=0.7)
    assert decision.feasible
    held = confirm(decision, weight(), PRICES, spec, refitted=True)
    assert (held.feasible, held.tightest, held.number) == (False, "size_mb", 3)
    assert [(c.name, c.met) for c in held.targets] == [("roc_auc", True), ("latency_p95_ms", True), ("size_mb", False)]
    assert held.targets[0] == decision.targets[0]
    assert held.targets[2].got.value == 0.783
    assert held.reasons[:-1] == decision.reasons
    assert held.reasons[-1] == (
        "The bundle that ships, trained on everything but test, takes 1.200 ms (1.100 to 1.300) at p95, 783 kB, and "
        "0.017 USD per million predictions: it misses size at most 0.7 MB by 0.083 MB, which its trial met."
    )


def test_where_every_target_still_holds_one_sentence_has_the_figures(decided):
    decision, spec = decided(latency_p95_ms=20, size_mb=1)
    held = confirm(decision, weight(), PRICES, spec)
    assert (held.feasible, held.tightest) == (True, None)
    assert held.reasons[-1].startswith("The bundle that ships takes 1.200 ms")
    assert held.reasons[-1].endswith(": it meets every target of serving.")


def test_what_only_the_trial_missed_is_feasible_again(decided):
    decision, spec = decided(size=2_000_000, size_mb=1)
    assert not decision.feasible
    held = confirm(decision, weight(), PRICES, spec, refitted=False)
    assert (held.feasible, held.tightest) == (True, None)
    assert held.reasons[-1].endswith("meets every target of serving; unlike its trial it meets size.")
    assert "as its trial was measured" in held.reasons[-1]


def test_quality_stays_as_it_was_decided(decided):
    decision, spec = decided(quality=0.7, size_mb=1)
    held = confirm(decision, weight(), PRICES, spec)
    assert (held.feasible, held.tightest) == (False, "roc_auc")
    worse = confirm(decision, weight(size=90_000_000), PRICES, spec)
    assert (worse.feasible, worse.tightest) == (False, "roc_auc")


def test_of_several_targets_missed_the_one_that_is_furthest_is_the_tightest(decided):
    decision, spec = decided(latency_p95_ms=1, size_mb=0.7)
    assert confirm(decision, weight(ms=9.0), PRICES, spec).tightest == "latency_p95_ms"
    assert confirm(decision, weight(ms=1.2, size=9_000_000), PRICES, spec).tightest == "size_mb"


def test_without_targets_of_serving_the_figures_are_all_there_is_to_say(decided):
    decision, spec = decided()
    assert confirm(decision, weight(), PRICES, spec).reasons[-1].endswith("0.017 USD per million predictions.")


def test_the_cost_of_what_ships_has_the_price_of_its_columns_in_it(bench):
    parts = {"serving": Serving(cost_per_million=100), "columns": ColumnsPart(price={"income": "0.02 USD"})}
    decision = bench.decide([bench.candidate(3, 0.8)], **parts)
    assert decision.feasible
    assert not confirm(decision, weight(), PRICES, bench.spec(**parts)).feasible
    assert confirm(decision, weight(), PRICES, bench.spec(**parts), recipe=Train(learner="constant")).feasible
