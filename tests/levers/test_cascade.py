"""The cascade: what it proposes, what it promises and keeps, what it refuses to promise."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Ending, Evidence, Problem, Task, Weight, Work
from steelyard.levers.combining._cascade import ROWS, Cascade
from steelyard.levers.refusal import LeverRefused
from steelyard.promise import places
from steelyard.promise.places import PLACES
from steelyard.promise.pvalues import DOUBT, units_needed
from steelyard.promise.stake import NATS, at_stake, can_promise
from steelyard.recipe import Combine, Settings, Train
from steelyard.tasks import metric
from steelyard.testing import check_lever
from steelyard.testing.situations import situation
from steelyard.units import Estimate

PRICES = ((0.0, -1.0), (-5.0, 0.0))


def binary(aim="accuracy", value=None):
    return Task(problem=Problem.BINARY, target="y", aim=aim, classes=("no", "yes"), positive="yes", value=value)


THREE = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))


def weight(ms, size=1000):
    ms = Estimate(ms, ms, ms)
    return Weight(
        p50=ms, p95=ms, p99=ms, throughput=ms, batch=1, size_bytes=size, memory_bytes=ms, threads=1, calls=200
    )


def population(task, rows, noises=(1.5, 0.5), seed=0):
    """Return what two members answer to rows of a made-up world; the second sees it with less noise."""
    random = np.random.default_rng(seed)
    truth = 2.5 * random.normal(size=(rows, task.width))
    odds = np.exp(truth)
    target = (random.random(rows)[:, None] > np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    answers = []
    for noise in noises:
        seen = np.exp(truth + noise * random.normal(size=truth.shape))
        answers.append(answer_of(task, seen / seen.sum(axis=1, keepdims=True)))
    return Evidence(tuple(answers), np.minimum(target, task.width - 1).astype(np.int64))


def taken(evidence, index):
    answers = tuple(replace(a, scores=a.scores[index], decided=a.decided[index]) for a in evidence.answers)
    weights = None if evidence.weights is None else evidence.weights[index]
    return Evidence(answers, evidence.target[index], weights)


def figure(task, evidence, answer):
    aim = metric(task.aim)
    return aim.higher_is_better(aim.measure(task, evidence.target, answer, evidence.weights))


def lost(task, evidence, rule):
    """Return what a rule loses against the dear member, measured by the metric itself."""
    answer = apply_rule(rule, evidence.answers, task)
    return figure(task, evidence, evidence.answers[1]) - figure(task, evidence, answer)


def fit(evidence, schema, task, **settings):
    return Cascade().fit(evidence, Settings(settings), Work(task=task, schema=schema))


# ------------------------------------------------------------------------------------------------- the promise


def violated(task, schema, rows, draws, **settings):
    """Return how many of so many fits lose more than they promise in the whole population; most fits must be made."""
    world, random = population(task, 100_000), np.random.default_rng(7)
    known, count, refused = {}, 0, 0
    for _ in range(draws):
        try:
            rule = fit(taken(world, random.integers(0, 100_000, rows)), schema, task, **settings)
        except LeverRefused:
            refused += 1
            continue
        if rule["at"] not in known:
            known[rule["at"]] = lost(task, world, rule)
        count += known[rule["at"]] > settings["tolerance"]
    assert refused < draws / 2
    return count


def most_by_chance(draws):
    return draws * DOUBT + 3 * np.sqrt(draws * DOUBT * (1 - DOUBT))


def test_the_promise_is_kept_in_95_of_100_calibrations(schema):
    assert violated(binary(), schema, 800, 300, tolerance=0.02) <= most_by_chance(300)


def test_the_test_of_the_promise_fails_where_the_bound_is_dropped(schema, monkeypatch):
    def trusting(paired, limit):
        return 0.0 if paired.losses.mean() <= limit else 1.0

    monkeypatch.setattr(places, "doubt", trusting)
    assert violated(binary(), schema, 800, 100, tolerance=0.02) > 2 * most_by_chance(100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "rows", "settings"),
    [
        (binary("roc_auc"), 1500, {"tolerance": 0.02}),
        (binary("log_loss"), 1500, {"tolerance": 0.05}),
        (binary("brier"), 1000, {"tolerance": 0.02}),
        (binary("balanced_accuracy"), 1000, {"tolerance": 0.03}),
        (binary("recall"), 1500, {"tolerance": 0.03}),
        (binary("value", PRICES), 1000, {"tolerance": 100.0, "measure": "worth"}),
        (THREE, 800, {"tolerance": 0.02, "measure": "confidence"}),
    ],
    ids=lambda x: x.aim if isinstance(x, Task) else None,
)
def test_every_promise_is_kept(schema, task, rows, settings):
    assert violated(task, schema, rows, 100, **settings) <= most_by_chance(100)


@pytest.mark.parametrize("aim", ["accuracy", "roc_auc", "brier", "log_loss", "balanced_accuracy", "recall", "value"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_over_units_is_what_the_metric_says_is_lost(aim, weighted):
    task = binary(aim, PRICES if aim == "value" else None)
    world = population(task, 40_000)
    if weighted:
        world = replace(world, weights=np.random.default_rng(2).choice([0.5, 1.0], len(world.target)))
    kept = np.abs(world.answers[0].scores[:, 0] - 0.5) > 0.3
    rule = {"rule": "cascade", "measure": "margin", "at": 0.6}
    stake = at_stake(task, world)
    paired = stake.paired(kept)
    weights = np.ones_like(paired.losses) if paired.weights is None else paired.weights
    assert np.abs(paired.losses).max() <= 1
    by_unit = stake.span * np.average(paired.losses, weights=weights)
    spread = stake.span * paired.losses.std() / np.sqrt(stake.units)
    assert by_unit == pytest.approx(lost(task, world, rule), abs=4 * spread if stake.units < 40_000 else 0.003)


def test_a_dear_member_that_is_no_better_is_hardly_ever_asked(schema):
    task = binary()
    world = population(task, 4000, noises=(0.5, 0.5))
    rule = fit(world, schema, task, tolerance=0.02)
    assert rule["at"] == 0
    assert rule["escalated"] == {"share": 0.0, "low": 0.0, "high": pytest.approx(0.0009, abs=1e-4), "rows": 4000}


def test_more_is_kept_from_the_dear_member_where_more_may_be_lost_or_more_is_known(schema):
    world = population(binary(), 8000)
    tight, loose = (fit(world, schema, binary(), tolerance=t)["escalated"]["share"] for t in (0.01, 0.03))
    fewer = fit(taken(world, np.arange(1000)), schema, binary(), tolerance=0.01)["escalated"]["share"]
    assert loose < tight < fewer < 1


def test_the_rule_says_what_was_seen_and_what_is_promised(schema):
    world = population(binary(), 2000)
    rule = fit(world, schema, binary(), tolerance=0.02)
    assert rule["promise"] == {"metric": "accuracy", "lost_at_most": 0.02, "confidence": 0.95}
    sure = np.abs(world.answers[0].scores[:, 0] - world.answers[0].scores[:, 1])
    seen = rule["escalated"]
    assert seen["share"] == np.mean(sure < rule["at"])
    assert seen["low"] < seen["share"] < seen["high"] < seen["low"] + 0.06
    assert seen["rows"] == 2000


def test_places_to_cut_are_fixed_from_safe_to_bold():
    assert np.all(np.diff(PLACES) < 0)
    assert PLACES[0] > 0.999
    assert PLACES[-1] == 0
    assert len(PLACES) > 100


# ------------------------------------------------------------------------------------------------- refusals


def test_too_few_rows_are_refused_with_the_number_needed(schema):
    world = population(binary(), 5000)
    assert units_needed(0.05, counted=True) == ROWS
    with pytest.raises(
        LeverRefused, match=r"needs 408 calibration rows to promise .* 0.01 in accuracy .* there are 407"
    ):
        fit(taken(world, np.arange(407)), schema, binary(), tolerance=0.01)
    with pytest.raises(LeverRefused, match=f"needs {units_needed(0.001, counted=True)} calibration rows"):
        fit(taken(world, np.arange(2000)), schema, binary(), tolerance=0.001)
    with pytest.raises(LeverRefused, match="needs 408 calibration rows of the rarest class"):
        fit(taken(world, np.arange(700)), schema, binary("roc_auc"), tolerance=0.01)
    with pytest.raises(LeverRefused, match=r"needs 80 calibration rows .* \(80 rows for any promise\), there are 79"):
        fit(taken(world, np.arange(79)), schema, binary(), tolerance=0.5)


def test_weights_ask_for_more_rows(schema):
    world = population(binary(), 470)
    weighted = replace(world, weights=np.ones(470))
    fit(world, schema, binary(), tolerance=0.01)
    with pytest.raises(LeverRefused, match="needs 482 calibration rows"):
        fit(weighted, schema, binary(), tolerance=0.01)


@pytest.mark.parametrize(
    ("task", "settings", "sentence"),
    [
        (binary(), {"tolerance": 0.0}, "cannot promise to lose nothing at all"),
        (binary("f1"), {}, "can promise nothing about f1"),
        (binary("pr_auc"), {}, "can promise nothing about pr_auc"),
        (replace(THREE, aim="roc_auc"), {}, "can promise nothing about roc_auc"),
        (binary("value", ((2.0, 2.0), (1.0, 1.0))), {}, "can promise nothing about value"),
        (Task(problem=Problem.REGRESSION, target="y", aim="rmse"), {}, "members that give probabilities"),
    ],
)
def test_what_cannot_be_promised_is_refused(schema, task, settings, sentence):
    assert can_promise(task) == (not sentence.startswith("can promise") and task.problem is not Problem.REGRESSION)
    with pytest.raises(LeverRefused, match=sentence):
        fit(population(binary(), 1000), schema, task, **settings)


def test_a_cheap_member_that_knows_nothing_of_itself_is_refused(schema):
    world = population(binary(), 3000)
    proud = np.where(np.random.default_rng(0).random(3000) < 0.5, 0.9999, 0.0001)
    foolish = replace(world, answers=(answer_of(binary(), np.column_stack([proud, 1 - proud])), world.answers[1]))
    with pytest.raises(LeverRefused, match=r"finds no sureness .* take the dear one"):
        fit(foolish, schema, binary(), tolerance=0.01)


def test_log_loss_is_promised_for_losses_of_a_bounded_size(schema):
    task, world = binary("log_loss"), population(binary("log_loss"), 6000)
    assert fit(world, schema, task, tolerance=0.02)["at"] > 0
    needed = units_needed(0.02 / NATS, counted=False)
    with pytest.raises(LeverRefused, match=f"needs {needed} calibration rows"):
        fit(taken(world, np.arange(needed - 1)), schema, task, tolerance=0.02)


# ---------------------------------------------------------------------------------------------------- moves


@pytest.fixture
def pair(context, trial):
    """A fast training, a slow one that is better, and the constant model; weighed."""
    made = [trial(1, "constant", aim=0.5), trial(2, "lines", aim=0.78), trial(3, "trees", aim=0.8)]
    return [replace(t, weight=weight(ms)) for t, ms in zip(made, (0.01, 0.05, 0.3), strict=True)]


def proposed(context, trials, **more):
    made = context(*trials, **{"tolerance": 0.01, "calibration_rows": 3000, **more})
    return [m for t in trials for m in Cascade().moves(t, made)]


def test_the_best_is_joined_with_one_that_is_worse_and_three_times_as_fast(context, pair):
    (move,) = proposed(context, pair)
    assert move.recipe.parents == (Train(learner="lines"), Train(learner="trees"))
    assert dict(move.recipe.settings) == {"tolerance": 0.01, "measure": "margin"}
    assert not proposed(context, [*pair[:2], replace(pair[2], weight=weight(0.149))])
    assert not proposed(context, [pair[0], pair[1], replace(pair[2], weight=None)])
    assert not proposed(context, [replace(t, weight=weight(1 / t.number)) for t in pair])


def test_one_that_is_ten_times_as_fast_is_tried_too(context, pair, trial):
    faster = replace(trial(4, "switch", aim=0.7), weight=weight(0.02))
    assert [m.recipe.parents[0].learner for m in proposed(context, [*pair, faster])] == ["lines", "switch"]


def test_nothing_is_proposed_where_nothing_can_be_promised(context, pair, trial):
    assert not proposed(context, pair, tolerance=0.0)
    assert not proposed(context, pair, calibration_rows=2 * 408 - 1)  # pairs take a row of each class
    assert proposed(context, pair, calibration_rows=2 * 408)
    assert not proposed(context, pair, calibration_rows=2 * 408, parts=5)  # a fifth is left out of each fit
    assert not proposed(context, pair, calibration_rows=ROWS - 1, tolerance=0.5)
    assert not proposed(context, pair, task=binary("pr_auc"))
    (move,) = proposed(context, pair)
    done = trial(7, recipe=move.recipe, aim=0.795)
    assert not proposed(context, [*pair, done])
    others = [
        trial(n, recipe=Combine(lever="cascade", parents=(Train(learner="a"), Train(learner=str(n)))), ending=ending)
        for n, ending in ((8, Ending.REFUSED), (9, Ending.REFUSED))
    ]
    assert proposed(context, [*pair, others[0]])
    assert not proposed(context, [*pair, *others])


def test_a_threshold_or_a_cascade_is_not_cascaded_again(context, pair, trial):
    best = trial(9, recipe=Combine(lever="threshold", parents=(pair[2].recipe,)), aim=0.9)
    (move,) = proposed(context, [*pair, replace(best, weight=weight(9.0))])
    assert move.recipe.parents[1] == pair[2].recipe


def test_of_money_the_tolerance_is_a_share_of_the_way_from_the_constant_model(context, trial):
    money = [
        replace(trial(n, learner, aim=aim, metric="value", half=1.0), weight=weight(ms))
        for n, learner, aim, ms in (
            (1, "constant", -500.0, 0.01),
            (2, "lines", -120.0, 0.05),
            (3, "trees", -100.0, 0.3),
        )
    ]
    (move,) = proposed(context, money, task=binary("value", PRICES), calibration_rows=9000)
    assert dict(move.recipe.settings) == {"tolerance": pytest.approx(4.0), "measure": "worth"}


# ------------------------------------------------------------------------------------------------ conformance


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.MULTICLASS])
def test_it_keeps_the_contract_of_levers(problem):
    made = situation(problem)
    task = replace(made.context.task, aim="accuracy")
    world = population(task, 450)
    trials = tuple(
        replace(
            t,
            validation={"accuracy": t.validation[made.context.task.aim]},
            weight=weight(5.0 if t.number == 2 else 0.5),
        )
        if t.ending.usable
        else t
        for t in made.context.trials
    )
    context = replace(made.context, task=task, trials=trials, tolerance=0.01)
    check_lever(Cascade(), among=[replace(made, context=context, evidence=world)])
