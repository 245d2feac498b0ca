"""Which candidate is taken, and what is said about it."""

import json
import random

import pytest

from steelyard.contracts import Problem, Task
from steelyard.decide import Decision
from steelyard.errors import NothingMeasured
from steelyard.recipe import Plan, Settings, Shrink, Step, Train
from steelyard.spec import Quality, Serving, Value
from steelyard.units import Estimate


def said(decision):
    return " ".join(decision.reasons)


def test_of_two_equal_candidates_the_cheaper_is_taken_and_the_sentence_has_every_figure(bench):
    candidates = [bench.candidate(1, 0.785, cost=0.02), bench.candidate(2, 0.789, cost=0.08)]
    decision = bench.decide(candidates, half=0.005)
    assert decision.number == 1
    assert decision.equal == (1,)
    assert decision.reasons[0] == "model-2 reaches roc_auc 0.789 (0.759 to 0.819) on validation, 5-fold."
    assert decision.reasons[1] == (
        "model-1 is equal to it on these rows (difference 0.004, -0.001 to 0.009; tolerance 0.010) "
        "and costs 0.020 USD per million instead of 0.080 USD: take model-1."
    )


def test_a_loss_beyond_the_tolerance_is_not_equal_even_where_the_interval_covers_zero(bench):
    decision = bench.decide([bench.candidate(1, 0.775, cost=0.02), bench.candidate(2, 0.789, cost=0.08)])
    assert decision.number == 2
    assert decision.equal == ()
    assert "not distinguishable from it with these rows" in said(decision)
    assert "the better estimate stands" in said(decision)


def test_a_loss_within_the_tolerance_is_not_equal_where_the_rows_do_not_rule_out_a_greater_one(bench):
    decision = bench.decide([bench.candidate(1, 0.785, cost=0.02), bench.candidate(2, 0.789, cost=0.08)], half=0.02)
    assert (decision.number, decision.equal) == (2, ())
    assert "they do not rule out a loss beyond the tolerance of 0.010: the better estimate stands" in said(decision)
    assert "these rows do not show that it is equal" in decision.passed_over[1]


def test_a_loss_within_the_tolerance_is_not_equal_where_the_interval_excludes_zero(bench):
    decision = bench.decide([bench.candidate(1, 0.785, cost=0.02), bench.candidate(2, 0.789, cost=0.08)], half=0.001)
    assert decision.number == 2
    assert "model-1, is behind" in said(decision)


def test_a_difference_in_cost_that_is_within_noise_does_not_decide(bench):
    dear, cheap = bench.candidate(1, 0.789, cost=0.0101, noise=0.1), bench.candidate(2, 0.787, cost=0.0100, noise=0.1)
    decision = bench.decide([dear, cheap], half=0.005)
    assert decision.number == 1
    assert "model-2 is equal to it on these rows, but not cheaper to serve" in said(decision)


def test_of_equal_candidates_that_cost_the_same_the_faster_is_taken(bench):
    decision = bench.decide([bench.candidate(1, 0.789, ms=5.0), bench.candidate(2, 0.787, ms=1.0)], half=0.005)
    assert decision.number == 2
    assert "answers in 1.000 ms instead of 5.000" in said(decision)


def test_equality_is_with_the_best_that_meets_every_target_not_with_one_that_does_not(bench):
    slow, fast, faster = (
        bench.candidate(1, 0.90, ms=50.0, cost=0.5),
        bench.candidate(2, 0.80, ms=5.0, cost=0.1),
        bench.candidate(3, 0.797, ms=1.0, cost=0.01),
    )
    decision = bench.decide([slow, fast, faster], half=0.005, serving=Serving(latency_p95_ms=20))
    assert decision.feasible
    assert decision.number == 3
    assert decision.passed_over[1] == "Misses p95 latency by 30 ms."


def test_a_target_is_met_when_the_estimate_reaches_it_and_the_probability_is_printed(bench):
    decision = bench.decide([bench.candidate(1, 0.785)], quality=Quality(metric="roc_auc", at_least=0.78))
    assert decision.feasible
    (check,) = decision.targets
    assert check.met
    assert check.probability == pytest.approx(0.628, abs=0.001)
    assert "roc_auc 0.785 (0.755 to 0.815) meets the target of at least 0.78" in said(decision)
    assert "63%" in said(decision)


def test_with_a_confidence_the_lower_bound_has_to_meet_the_target(bench):
    quality = Quality(metric="roc_auc", at_least=0.78, confidence=0.95)
    decision = bench.decide([bench.candidate(1, 0.785)], quality=quality)
    assert not decision.feasible
    assert decision.targets[0].short == pytest.approx(0.025)
    assert "its 95% bound: 0.755" in said(decision)
    assert bench.decide([bench.candidate(1, 0.785, half=0.004)], quality=quality).feasible


def test_a_lower_confidence_asks_for_a_narrower_interval(bench):
    quality = Quality(metric="roc_auc", at_least=0.78, confidence=0.6)
    assert bench.decide([bench.candidate(1, 0.785, half=0.01)], quality=quality).feasible


def test_if_nothing_is_feasible_the_nearest_is_returned_with_its_distance_from_every_target(bench):
    constant = bench.candidate(0, 0.5, ms=0.1, cost=0.001)
    near, far = bench.candidate(1, 0.88, ms=25.0, cost=0.2), bench.candidate(2, 0.70, ms=15.0, cost=0.1)
    parts = {"quality": Quality(metric="roc_auc", at_least=0.9), "serving": Serving(latency_p95_ms=20)}
    decision = bench.decide([constant, near, far], baseline=0, **parts)
    assert not decision.feasible
    assert decision.number == 1
    assert decision.tightest == "roc_auc"
    assert {c.name: round(c.short, 3) for c in decision.targets} == {"roc_auc": 0.02, "latency_p95_ms": 5.0}
    assert decision.reasons[0] == "No candidate meets every target."
    assert "The tightest target is roc_auc at least 0.9: the nearest that was reached is 0.88, by model-1." in said(
        decision
    )
    assert "With roc_auc relaxed to 0.7, model-2 would do, at 0.10 USD per million." in said(decision)


def test_targets_that_only_clash_are_named_as_such(bench):
    good, quick = bench.candidate(1, 0.92, ms=40.0), bench.candidate(2, 0.70, ms=2.0)
    parts = {"quality": Quality(metric="roc_auc", at_least=0.9), "serving": Serving(latency_p95_ms=20)}
    decision = bench.decide([good, quick], **parts)
    assert not decision.feasible
    assert "some candidates meet it, but none of them meets the others too" in said(decision)


def test_the_constant_model_is_not_offered_as_the_nearest_while_something_was_learned(bench):
    constant, slow = bench.candidate(0, 0.5, ms=2.0), bench.candidate(1, 0.9, ms=100.0)
    decision = bench.decide([constant, slow], baseline=0, serving=Serving(latency_p95_ms=1))
    assert decision.number == 1
    assert bench.decide([constant], baseline=0, serving=Serving(latency_p95_ms=1)).number == 0


@pytest.mark.parametrize(
    ("constant", "half", "words"),
    [
        (0.5, 0.02, "Machine learning is worth it here: model-0 reaches 0.500"),
        (0.785, 0.001, "Machine learning is worth it here"),
        (0.77, 0.05, "These rows do not tell whether machine learning is worth it"),
        (0.79, 0.001, "Machine learning is not worth it here: model-0, which always answers the most frequent class"),
    ],
)
def test_the_last_sentence_says_whether_learning_beats_the_constant_model(bench, constant, half, words):
    candidates = [bench.candidate(0, constant, cost=0.5), bench.candidate(1, 0.789, cost=0.08)]
    assert words in bench.decide(candidates, half=half, baseline=0).reasons[-1]


def test_without_a_constant_model_nothing_is_claimed_about_learning(bench):
    assert "nothing here tells" in bench.decide([bench.candidate(1, 0.789)]).reasons[-1]
    alone = bench.decide([bench.candidate(0, 0.5)], baseline=0).reasons[-1]
    assert alone.startswith("Nothing but model-0, which always answers the most frequent class, was measured")


def test_the_cheapest_that_would_do_is_named_where_it_was_passed_over_for_its_quality(bench):
    candidates = [bench.candidate(1, 0.79, cost=0.01), bench.candidate(2, 0.85, cost=0.5)]
    decision = bench.decide(candidates, quality=Quality(metric="roc_auc", at_least=0.78))
    assert decision.number == 2
    assert "The cheapest that meets every target is model-1, at 0.010 USD per million instead of 0.50 USD" in said(
        decision
    )


def test_money_decides_where_values_are_given_and_serving_is_taken_off(bench):
    task = Task(
        problem=Problem.BINARY,
        target="y",
        aim="value",
        classes=("no", "yes"),
        positive="yes",
        value=((0.0, -1.0), (-5.0, 0.0)),
    )
    dear = bench.candidate(1, 100.0, half=5.0, cost=30_000.0)
    cheap = bench.candidate(2, 90.0, half=5.0, cost=1_000.0)
    decision = bench.decide([dear, cheap], half=0.1, aim="value", task=task)
    assert decision.number == 2
    assert "value 90.00 USD per 1,000 decisions" in said(decision)


def test_of_money_the_tolerance_is_a_share_of_what_learning_brings(bench):
    task = Task(
        problem=Problem.BINARY,
        target="y",
        aim="value",
        classes=("n", "y"),
        positive="y",
        value=((0.0, 0.0), (0.0, 1.0)),
    )
    constant = bench.candidate(0, 0.0, half=5.0)
    best, near = bench.candidate(1, 1000.0, half=50.0, cost=0.9), bench.candidate(2, 995.0, half=50.0, cost=0.1)
    assert bench.decide([constant, best, near], half=5.0, aim="value", task=task, baseline=0).number == 2
    far = bench.candidate(2, 985.0, half=50.0, cost=0.1)
    assert bench.decide([constant, best, far], half=20.0, aim="value", task=task, baseline=0).number == 1


def test_among_figures_that_rows_do_not_tell_apart_the_one_expected_to_be_best_is_taken(bench):
    lucky, solid = bench.candidate(1, 0.81, ms=2.0), bench.candidate(2, 0.80)
    quality = {"quality": {"metric": "roc_auc", "tolerance": 0.0}}
    assert bench.decide([lucky, solid], **quality).number == 1
    decision = bench.decide([lucky, solid], expected={1: 0.79, 2: 0.80}, **quality)
    assert decision.number == 2
    assert any("has a better figure (difference 0.010" in reason for reason in decision.reasons)
    assert "Equal" in decision.passed_over[1]


@pytest.mark.parametrize(("whole", "taken"), [(0.797, 1), (0.78, 3), (None, 1)])
def test_fewer_columns_count_as_no_better_than_all_when_they_are_held_against_the_best(bench, whole, taken):
    step = Step(lever="select", settings=Settings(columns='["a"]'))
    fewer = Train(learner="linear", plan=Plan(parts=(step,)))
    candidates = [bench.candidate(1, 0.81, cost=0.02, recipe=fewer), bench.candidate(3, 0.80, cost=0.08)]
    if whole is not None:
        candidates.append(bench.candidate(2, whole, cost=0.05, recipe=Train(learner="linear")))
    decision = bench.decide(candidates, expected={1: 0.77, 3: 0.80})
    assert decision.number == taken
    if taken == 3:
        assert (
            decision.passed_over[1]
            == "Its columns were chosen by these rows; on all of them it is behind model-3 by 0.020."
        )


def test_fewer_columns_that_are_worse_than_all_count_as_what_they_are(bench):
    step = Step(lever="select", settings=Settings(columns='["a"]'))
    fewer = bench.candidate(1, 0.785, cost=0.02, recipe=Train(learner="linear", plan=Plan(parts=(step,))))
    everything = bench.candidate(2, 0.796, cost=0.05, recipe=Train(learner="linear"))
    assert bench.decide([fewer, everything, bench.candidate(3, 0.80, cost=0.08)], half=0.005).number == 2


def test_a_figure_that_is_told_apart_is_taken_whatever_was_expected(bench):
    better, worse = bench.candidate(1, 0.85), bench.candidate(2, 0.80)
    assert bench.decide([better, worse], half=0.01, expected={1: 0.79, 2: 0.80}).number == 1


@pytest.mark.parametrize(("others", "taken"), [(0, 1), (60, 2)])
def test_the_best_of_many_figures_must_lie_further_ahead_to_be_told_apart(bench, others, taken):
    crowd = [bench.candidate(3 + n, 0.78, cost=1.0) for n in range(others)]
    candidates = [bench.candidate(1, 0.812), bench.candidate(2, 0.80), *crowd]
    expected = {1: 0.79, 2: 0.80}
    assert bench.decide(candidates, half=0.01, expected=expected, quality={"tolerance": 0.0}).number == taken


def test_an_error_is_better_when_lower(bench):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    worse, better = bench.candidate(1, 50.0, half=2.0), bench.candidate(2, 40.0, half=2.0)
    decision = bench.decide([worse, better], half=1.0, aim="rmse", task=task)
    assert decision.number == 2


@pytest.fixture
def family():
    parent = Train(learner="lightgbm")
    return parent, Shrink(lever="quantise", parent=parent)


@pytest.mark.parametrize("size", [1000, 1200])
def test_a_shrunk_model_that_is_neither_smaller_nor_faster_is_rejected_with_the_reason(bench, family, size):
    parent, child = family
    candidates = [
        bench.candidate(1, 0.80, recipe=parent, size=1000),
        bench.candidate(2, 0.81, recipe=child, size=size, ms=1.0),
    ]
    decision = bench.decide(candidates)
    assert decision.number == 1
    assert "Neither smaller nor faster than its parent, trial 1" in decision.rejected[2]
    assert decision.frontier == (1,)


def test_a_shrunk_model_that_lost_too_much_is_rejected_with_the_reason(bench, family):
    parent, child = family
    candidates = [bench.candidate(1, 0.80, recipe=parent), bench.candidate(2, 0.76, recipe=child, size=300)]
    decision = bench.decide(candidates)
    assert decision.rejected[2].startswith("Not good enough: 0.040 (0.020 to 0.060) worse in roc_auc")


def test_a_loss_is_forgiven_where_only_the_shrunk_model_meets_the_targets(bench, family):
    parent, child = family
    candidates = [
        bench.candidate(1, 0.80, recipe=parent, size=9_000_000),
        bench.candidate(2, 0.76, recipe=child, size=3_000_000),
    ]
    decision = bench.decide(candidates, serving=Serving(size_mb=5))
    assert decision.feasible
    assert decision.number == 2
    assert decision.rejected == {}


def test_a_good_shrunk_model_is_taken(bench, family):
    parent, child = family
    candidates = [
        bench.candidate(1, 0.80, recipe=parent, ms=4.0, cost=0.4),
        bench.candidate(2, 0.797, recipe=child, size=300, ms=1.0, cost=0.1),
    ]
    assert bench.decide(candidates, half=0.005).number == 2


CLEANED = Train(learner="lightgbm", data=(Step(lever="clean"),))


@pytest.mark.parametrize(("gain", "taken"), [(0.03, 2), (0.01, 1)])
def test_cleaned_data_are_kept_only_where_the_paired_test_likes_them(bench, family, gain, taken):
    candidates = [
        bench.candidate(1, 0.80, recipe=family[0]),
        bench.candidate(2, 0.80 + gain, recipe=CLEANED),
        bench.candidate(3, 0.79 + gain, recipe=Shrink(lever="quantise", parent=CLEANED), size=300),
    ]
    decision = bench.decide(candidates, half=0.02)
    assert decision.number == taken
    if taken == 1:
        assert decision.rejected[2].startswith("It did not prove that clean helps: roc_auc differs by 0.010 (-0.010 to")
        assert set(decision.rejected) == {2, 3}


def test_cleaned_data_without_a_training_to_hold_them_against_are_not_taken_where_there_is_anything_else(bench):
    alone = bench.candidate(2, 0.9, recipe=CLEANED)
    decision = bench.decide([bench.candidate(1, 0.8), alone])
    assert (decision.number, "was not measured" in decision.rejected[2]) == (1, True)
    assert bench.decide([alone]).number == 2


def test_every_candidate_that_was_not_taken_has_a_sentence(bench):
    candidates = [bench.candidate(k, 0.6 + 0.03 * k, cost=0.01 * (k + 1), ms=1.0 + k) for k in range(7)]
    decision = bench.decide(candidates, serving=Serving(latency_p95_ms=5))
    assert decision.passed_over.keys() | decision.rejected.keys() | {decision.number} == set(range(7))
    assert all(sentence.endswith(".") for sentence in decision.passed_over.values())


def test_pairs_are_resampled_once_and_only_where_a_sentence_needs_them(bench):
    from steelyard.decide import decide
    from steelyard.tasks import metric

    candidates = [bench.candidate(k, 0.5 + 0.04 * k) for k in range(10)]
    difference, asked = bench.paired(candidates), []

    def counted(first, second):
        asked.append((first, second))
        return difference(first, second)

    decide(candidates, metric=metric("roc_auc"), paired=counted, spec=bench.spec(), task=bench.task, baseline=0)
    assert len(asked) == len(set(asked)) <= 3


def test_the_order_of_the_candidates_does_not_matter(bench):
    rng = random.Random(7)
    candidates = [bench.candidate(k, rng.uniform(0.7, 0.8), ms=rng.uniform(1, 9), cost=rng.random()) for k in range(12)]
    first = bench.decide(candidates)
    for _ in range(5):
        rng.shuffle(candidates)
        assert bench.decide(candidates).to_json() | {"passed_over": {}, "equal": []} == first.to_json() | {
            "passed_over": {},
            "equal": [],
        }


def test_a_decision_survives_the_way_through_json(bench):
    parts = {"quality": Quality(metric="roc_auc", at_least=0.9), "serving": Serving(latency_p95_ms=20)}
    decision = bench.decide([bench.candidate(1, 0.88), bench.candidate(2, 0.7)], **parts)
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_no_candidate_is_an_error_with_a_way_out(bench):
    with pytest.raises(NothingMeasured, match="raise `budget`"):
        bench.decide([])


def test_a_target_on_a_metric_that_is_undefined_on_these_rows_is_missed(bench):
    decision = bench.decide([bench.candidate(1, 0.8)], quality=Quality(metric="pr_auc", at_least=0.5))
    assert not decision.feasible
    assert "could not be measured" in said(decision)
    assert decision.tightest == "pr_auc"


def test_with_values_a_target_of_quality_is_held_against_the_usual_metric_not_against_money(bench):
    values = ((0.0, -1.0), (-5.0, 0.0))
    task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y", value=values)
    roc_auc = Estimate(0.7, 0.65, 0.75)
    one = bench.candidate(1, 90.0, roc_auc=roc_auc, value=Estimate(90.0, 85.0, 95.0))

    def checked(**quality):
        parts = {"quality": Quality(**quality), "value": Value(false_positive=-1, false_negative=-5)}
        return bench.decide([one], aim="value", task=task, **parts).targets[0]

    missed, money = checked(at_least=0.78), checked(metric="value", at_least=80)
    assert (missed.name, missed.got, missed.met) == ("roc_auc", roc_auc, False)
    assert checked(at_least=0.6).met
    assert (money.name, money.met) == ("value", True)
