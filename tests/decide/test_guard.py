"""What was made cheaper is kept only if it is smaller or faster, and shown to lose no more than is allowed."""

import numpy as np
import pytest

from steelyard.contracts import Answer, Beside
from steelyard.decide import Decision, decide
from steelyard.measure import paired
from steelyard.recipe import Shrink, Train, digest
from steelyard.spec import Quality, Serving, ShrinkPart
from steelyard.tasks import metric
from steelyard.units import Estimate

ROOT = Train(learner="cnn")
PRUNED = Shrink(lever="prune", parent=ROOT)
SMALL = Shrink(lever="quantise", parent=PRUNED)
FUSED = Shrink(lever="fuse", parent=SMALL)


def line(bench, *steps, **parts):
    """Decide among a model and what follows on it, each (quality, bytes, ms), on rows that tell little apart."""
    recipes = (ROOT, PRUNED, SMALL, FUSED)
    found = [
        bench.candidate(k, quality, recipe=recipe, size=size, ms=ms, noise=0.01)
        for k, (recipe, (quality, size, ms)) in enumerate(zip(recipes, steps, strict=False))
    ]
    return bench.decide(found, half=parts.pop("half", 0.002), **parts)


def of(decision, number):
    return next(found for found in decision.shrunk if found.number == number)


def test_a_step_that_is_slower_and_no_smaller_is_rejected_with_both_figures_and_the_threads(bench):
    decision = line(bench, (0.9, 1000, 1.0), (0.9, 1200, 1.5))
    assert decision.rejected[1] == (
        "Slower and not smaller than its parent, trial 0, on this machine, 1 thread: 1,200 bytes instead of 1,000, p95 "
        "1.500 ms (1.485 to 1.515) instead of 1.000 ms (0.990 to 1.010)."
    )


@pytest.mark.parametrize(("size", "ms"), [(950, 1.0), (1000, 0.95)])
def test_a_gain_below_what_is_asked_is_too_little(bench, size, ms):
    decision = line(bench, (0.9, 1000, 1.0), (0.9, size, ms))
    assert decision.rejected[1].startswith("Gains too little over its parent, trial 0")
    assert decision.rejected[1].endswith("10% smaller or 10% faster is asked for.")
    assert not line(bench, (0.9, 1000, 1.0), (0.9, size, ms), shrink=ShrinkPart(faster=0.05, smaller=0.05)).rejected


@pytest.mark.parametrize(
    ("asked", "kept"),
    [({"faster": 0.2}, False), ({"smaller": 0.2}, True), ({"faster": 0.2, "smaller": 0.2}, True), ({}, True)],
)
def test_what_is_named_alone_is_the_only_gain_that_counts(bench, asked, kept):
    decision = line(bench, (0.9, 1000, 1.0), (0.9, 500, 1.0), shrink=ShrinkPart(**asked))
    assert of(decision, 1).kept is kept
    if not kept:
        assert decision.rejected[1].endswith("20% faster is asked for.")


def test_the_user_says_what_may_be_lost_and_otherwise_it_is_the_tolerance(bench):
    steps = ((0.90, 1000, 1.0), (0.88, 300, 1.0))
    assert "0.010 may be lost" in line(bench, *steps).rejected[1]
    assert not line(bench, *steps, shrink=ShrinkPart(lose=0.03)).rejected
    assert not line(bench, *steps, quality=Quality(tolerance=0.03)).rejected
    assert "0.0020 may be lost" in line(bench, *steps, shrink=ShrinkPart(lose=0.002)).rejected[1]


def test_that_little_is_lost_must_be_shown_by_the_rows(bench):
    steps = ((0.90, 1000, 1.0), (0.897, 300, 1.0))
    assert not line(bench, *steps, half=0.01).rejected
    why = line(bench, *steps, half=0.03).rejected[1]
    assert why == (
        "Not shown to be good enough: 0.0030 (-0.0270 to 0.0330) worse in roc_auc than its parent, trial 0, and these "
        "rows do not rule out a loss beyond the 0.010 that may be lost (80% bound: 0.016); more rows may."
    )


def test_a_chain_may_lose_no_more_than_one_step_may(bench):
    decision = line(bench, (0.900, 1000, 1.0), (0.893, 500, 1.0), (0.887, 200, 1.0))
    assert of(decision, 1).kept
    assert decision.rejected[2].startswith("Not good enough: 0.013")
    assert "than trial 0, which its line began with" in decision.rejected[2]


def test_a_chain_must_gain_on_what_it_began_with_not_on_its_last_step_alone(bench):
    decision = line(bench, (0.9, 1000, 1.0), (0.9, 520, 1.75), (0.9, 980, 0.905))
    assert of(decision, 1).kept
    assert decision.rejected[2].startswith("Gains too little over trial 0, which its line began with")


def test_half_the_time_does_not_make_up_for_three_times_the_bytes_unless_only_time_is_asked_for(bench):
    steps = ((0.9, 1000, 1.0), (0.9, 3000, 0.5))
    why = line(bench, *steps).rejected[1]
    assert why.startswith("Larger by more than it is faster than its parent, trial 0")
    assert why.endswith("if size does not count, write `shrink: {faster: 0.1}`.")
    assert line(bench, (0.9, 1000, 1.0), (0.9, 1010, 0.96)).rejected[1].startswith("Gains too little")


def test_half_the_bytes_do_not_make_up_for_three_times_the_time_unless_only_bytes_are_asked_for(bench):
    steps = ((0.9, 1000, 1.0), (0.9, 500, 3.0))
    assert line(bench, *steps).rejected[1].startswith("Slower by more than it is smaller than its parent, trial 0")
    assert not line(bench, *steps, shrink=ShrinkPart(smaller=0.2)).rejected


def test_what_is_built_on_a_rejected_step_is_held_against_the_last_that_was_kept(bench):
    decision = line(bench, (0.9, 1000, 1.0), (0.9, 500, 1.0), (0.8, 200, 1.0), (0.9, 490, 1.0))
    assert of(decision, 2).reason
    assert (of(decision, 3).against, of(decision, 3).root) == (1, 0)
    assert "over trial 1, the last of its line that was kept" in decision.rejected[3]


def test_latencies_that_were_read_in_turn_count_before_two_readings(bench):
    parent = bench.candidate(0, 0.9, recipe=ROOT, ms=1.0, noise=0.01)

    def child(ratio):
        turn = Beside(*(Estimate(ratio, ratio - 0.02, ratio + 0.02) for _ in "ab"))
        made = bench.candidate(1, 0.9, recipe=PRUNED, ms=0.8, noise=0.01)
        return type(made)(**{**{k: getattr(made, k) for k in made.__slots__}, "beside": {digest(ROOT): turn}})

    assert "in turn with it 1.000 (0.980 to 1.020) times its median" in bench.decide([parent, child(1.0)]).rejected[1]
    assert not bench.decide([parent, child(0.7)], half=0.002).rejected


def test_a_latency_of_a_few_calls_says_nothing(bench):
    parent = bench.candidate(0, 0.9, recipe=ROOT, ms=1.0)
    made = bench.candidate(1, 0.9, recipe=PRUNED, ms=0.1)
    facts = {k: getattr(made, k) for k in made.__slots__}
    assert not bench.decide([parent, made], half=0.002).rejected
    few = type(made)(**{**facts, "calls": 5})
    told = bench.decide([parent, few], half=0.002)
    assert told.rejected[1].startswith("Neither smaller nor faster")
    assert (of(told, 1).p50, Decision.from_json(told.to_json())) == (None, told)


def in_turn(bench, p50, p95, **parts):
    """Decide on a model of the same bytes, called in turn with what it was made from."""
    parent, made = bench.candidate(0, 0.9, recipe=ROOT), bench.candidate(1, 0.9, recipe=PRUNED)
    facts = {k: getattr(made, k) for k in made.__slots__}
    child = type(made)(**{**facts, "beside": {digest(ROOT): Beside(Estimate(*p50), Estimate(*p95))}})
    return bench.decide([parent, child], half=0.002, **parts)


@pytest.mark.parametrize("shrink", [ShrinkPart(), ShrinkPart(faster=0.1)])
def test_a_median_that_fell_does_not_count_where_the_slow_calls_got_slower_nor_the_other_way_round(bench, shrink):
    fell, rose, same = (0.7, 0.68, 0.72), (1.3, 1.2, 1.4), (1.0, 0.9, 1.1)
    assert in_turn(bench, fell, rose, shrink=shrink).rejected
    assert in_turn(bench, rose, fell, shrink=shrink).rejected
    assert not in_turn(bench, fell, same, shrink=shrink).rejected
    assert not in_turn(bench, same, fell, shrink=shrink).rejected


def test_a_fall_that_may_be_chance_does_not_count(bench):
    assert in_turn(bench, (0.8, 0.6, 1.05), (0.8, 0.5, 1.4)).rejected[1].startswith("Neither smaller nor faster")


def test_a_loss_is_forgiven_only_where_shrinking_makes_a_target_possible(bench):
    steps = ((0.90, 9_000_000, 1.0), (0.80, 3_000_000, 1.0))
    assert not line(bench, *steps, serving=Serving(size_mb=5)).rejected
    assert line(bench, *steps, serving=Serving(size_mb=10)).rejected


def test_a_shrunk_model_whose_line_was_not_measured_is_taken_only_where_there_is_nothing_else(bench):
    orphan = bench.candidate(2, 0.95, recipe=PRUNED)
    decision = bench.decide([bench.candidate(1, 0.8), orphan])
    assert (decision.number, "None of the models" in decision.rejected[2]) == (1, True)
    assert bench.decide([orphan]).number == 2


def test_what_broke_in_the_refit_is_rejected_and_what_follows_on_it_is_held_against_the_step_before(bench):
    found = [
        bench.candidate(0, 0.9, recipe=ROOT, size=1000),
        bench.candidate(1, 0.9, recipe=PRUNED, size=500),
        bench.candidate(2, 0.9, recipe=SMALL, size=200),
    ]
    told = decide(
        found,
        metric=metric("roc_auc"),
        paired=bench.paired(found, 0.002),
        spec=bench.spec(),
        task=bench.task,
        barred={1: "Broke in the refit."},
    )
    assert told.rejected == {1: "Broke in the refit."}
    assert (of(told, 2).against, told.barred) == (0, {1: "Broke in the refit."})
    assert Decision.from_json(told.to_json()) == told


def test_the_root_is_never_rejected(bench):
    decision = line(bench, (0.7, 1000, 1.0), (0.9, 500, 0.5))
    assert 0 not in decision.rejected
    assert (of(decision, 1).kept, decision.number) == (True, 1)


# ------------------------------------------------------------------------------------------- how often it is wrong


def accepted(bench, loss, rows, discord, runs=200):
    """How often a lever that truly loses so much accuracy passes, on so many rows of which some change their answer."""
    random, passed = np.random.default_rng(1), 0
    task = bench.task
    for _ in range(runs):
        target = random.integers(0, 2, rows)
        draw = random.random(rows)
        right = random.random(rows) < 0.9
        worse, better = draw < (discord + loss) / 2, draw > 1 - (discord - loss) / 2
        ours, theirs = (np.where(worse, True, np.where(better, False, right))), None
        theirs = np.where(worse, False, np.where(better, True, right))
        answers = []
        for hit in (ours, theirs):
            decided = np.where(hit, target, 1 - target)
            answers.append(Answer(np.eye(2)[decided], decided))
        found = [bench.candidate(k, 0.9, recipe=r, size=s) for k, (r, s) in enumerate(((ROOT, 1000), (PRUNED, 300)))]

        def difference(a, b, answers=answers, target=target):
            return paired("accuracy", task, target, answers[a], answers[b], resamples=200)

        told = decide(found, metric=metric("accuracy"), paired=difference, spec=bench.spec(), task=task)
        passed += 1 not in told.rejected
    return passed / runs


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "discord"), [(400, 0.04), (1000, 0.06), (3000, 0.1)])
def test_a_lever_that_takes_two_points_passes_in_at_most_one_case_of_twenty_where_rows_suffice(bench, rows, discord):
    assert (discord / rows) ** 0.5 <= 0.0125  # the standard error of the paired difference
    assert accepted(bench, 0.02, rows, discord) <= 0.05


@pytest.mark.slow
def test_a_lever_that_takes_two_points_rarely_passes_even_where_rows_do_not_suffice(bench):
    assert accepted(bench, 0.02, 120, 0.06) <= 0.2


@pytest.mark.slow
def test_a_lever_that_takes_nothing_passes_where_rows_suffice(bench):
    assert accepted(bench, 0.0, 3000, 0.02) >= 0.95
