"""Quality: the figure, its interval, and two answers compared on the same rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task
from steelyard.errors import SteelyardError
from steelyard.measure import jointly, paired, quality, resampling
from steelyard.measure.resampling import Bootstrap
from steelyard.tasks import metric, metrics_for


def test_every_metric_that_applies_is_measured_and_lies_in_its_own_interval(binary, answers):
    target, answer = answers(binary, 200)
    found = quality(binary, target, answer, resamples=200)
    assert list(found) == [m.name for m in metrics_for(binary)]
    for name, estimate in found.items():
        assert estimate.value == metric(name).measure(binary, target, answer), name
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.low < estimate.high, name
        assert estimate.source == "bootstrap of 200 rows, 200 resamples, seed 0"


def test_the_interval_is_that_of_a_plain_bootstrap_at_the_corrected_levels(numeric, answers):
    target, answer = answers(numeric, 60)
    rng, errors = np.random.default_rng(3), np.abs(target - answer.decided)
    plain = [errors[rng.integers(0, 60, 60)].mean() for _ in range(400)]
    left = np.array([np.delete(errors, row).mean() for row in range(60)])
    found = quality(numeric, target, answer, seed=3, resamples=400, names=["mae"])["mae"]
    levels = Bootstrap(rows=60).levels(left, bounded=False)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, levels)), rel=1e-12)
    assert found.unit == "units of the target"


def test_percentiles_lean_towards_the_long_tail_and_widen_where_few_rows_decide():
    rng = np.random.default_rng(0)
    even, few = rng.uniform(-1, 1, 200), np.r_[np.zeros(197), 30.0, 40.0, 50.0]
    mild, heavy = (Bootstrap(rows=200).levels((x.sum() - x) / 199) for x in (even, few))
    assert mild == pytest.approx((0.025, 0.975), abs=0.002)
    assert heavy[0] > 1 - heavy[1]
    assert heavy[1] > mild[1]
    wide = Bootstrap(rows=200).levels(np.r_[few, -few][::2], bounded=False)
    assert wide[1] - wide[0] > mild[1] - mild[0]


@pytest.mark.parametrize("rows", [30, 900, 30_000, 200_000])
def test_parts_that_are_left_out_cover_every_row_once_and_are_bounded(rows):
    sets = list(Bootstrap(rows=rows, seed=2).without())
    if rows == 200_000:
        assert not sets
        return
    gone = sum((1 - counts).sum(axis=0) for counts in sets)
    assert (gone == 1).all()
    assert sum(len(counts) for counts in sets) <= min(rows, 200)


def test_intervals_hold_the_truth_as_often_as_they_say(binary):
    rng, held = np.random.default_rng(5), 0
    for trial in range(200):
        right = rng.random(150) < 0.7
        target = rng.integers(0, 2, 150)
        decided = np.where(right, target, 1 - target)
        scores = np.where(decided[:, None] == np.arange(2), 0.6, 0.4)
        found = quality(binary, target, Answer(scores, decided), seed=trial, resamples=200, names=["accuracy"])
        held += found["accuracy"].overlaps(0.7)
    assert 180 <= held <= 199


def test_the_same_seed_gives_the_same_interval_and_another_one_another(binary, answers):
    target, answer = answers(binary, 80)
    first, again, other = (quality(binary, target, answer, seed=s, resamples=100) for s in (1, 1, 2))
    assert first == again
    assert first["roc_auc"].low != other["roc_auc"].low
    assert first["roc_auc"].value == other["roc_auc"].value


def test_how_many_counts_are_held_at_a_time_changes_nothing(binary, answers, monkeypatch):
    target, answer = answers(binary, 90)
    whole = quality(binary, target, answer, resamples=120)
    monkeypatch.setattr(resampling, "CHUNK", 1000)
    parts = quality(binary, target, answer, resamples=120)
    for name, estimate in whole.items():
        assert (parts[name].low, parts[name].high) == pytest.approx((estimate.low, estimate.high), rel=1e-12), name


def test_memory_stays_bounded_whatever_the_number_of_rows():
    sizes = [counts.shape for counts in Bootstrap(rows=300_000).counts(8)]
    assert sum(some for some, _ in sizes) == 8
    assert all(some * rows <= resampling.CHUNK for some, rows in sizes)
    assert [c.shape for c in Bootstrap(rows=resampling.CHUNK + 1).counts(1)] == [(1, resampling.CHUNK + 1)]


def test_a_metric_that_costs_more_gets_fewer_resamples_and_says_so(answers, monkeypatch):
    many = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=tuple(f"c{i}" for i in range(64)))
    target, answer = answers(many, 640)
    monkeypatch.setattr(resampling, "WORK", 640 * 4 * 150)
    found = quality(many, target, answer, resamples=300, names=["accuracy", "roc_auc"])
    assert "300 resamples" in found["accuracy"].source
    assert "150 resamples" in found["roc_auc"].source


def test_weights_enter_both_the_figure_and_its_interval(numeric):
    target, guess = np.zeros(50), np.r_[np.zeros(25), np.ones(25)]
    answer = Answer(guess[:, None], guess)
    heavy = np.r_[np.full(25, 1e-6), np.ones(25)]
    found = quality(numeric, target, answer, weights=heavy, names=["mae"])["mae"]
    assert found.value == pytest.approx(1.0, abs=1e-5)
    assert found.low == pytest.approx(1.0, abs=1e-5)


def test_rows_that_come_in_groups_give_a_wider_interval(binary):
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random(20) < 0.6, 30)
    groups = np.repeat(np.arange(20) * 7, 30)
    target = np.zeros(600, dtype=np.int64)
    decided = np.where(right, 0, 1)
    answer = Answer(np.where(decided[:, None] == np.arange(2), 0.9, 0.1), decided)
    alone = quality(binary, target, answer, names=["accuracy"])["accuracy"]
    together = quality(binary, target, answer, groups=groups, names=["accuracy"])["accuracy"]
    assert together.value == alone.value
    assert together.high - together.low > 4 * (alone.high - alone.low)
    assert together.source.startswith("bootstrap of 20 groups of 600 rows in all")


def test_groups_of_one_row_each_are_the_plain_bootstrap(numeric, answers):
    target, answer = answers(numeric, 40)
    plain = quality(numeric, target, answer)["rmse"]
    grouped = quality(numeric, target, answer, groups=np.arange(40) + 3)["rmse"]
    assert (plain.low, plain.high) == (grouped.low, grouped.high)


def test_resampling_a_group_takes_all_of_its_rows():
    groups = np.array([5, 9, 5, 9, 9, 2])
    (counts,) = Bootstrap(rows=6, groups=groups, seed=1).counts(50)
    assert counts.shape == (50, 6)
    for code in (2, 5, 9):
        assert (np.ptp(counts[:, groups == code], axis=1) == 0).all()
    assert (counts[:, [0, 1, 5]].sum(axis=1) == 3).all()


def test_resamples_where_a_figure_is_undefined_are_left_out_and_counted(binary):
    target = np.zeros(60, dtype=np.int64)
    target[:2] = 1
    scores = np.linspace(0.9, 0.1, 60)
    answer = Answer(np.column_stack([1 - scores, scores]), (scores > 0.5).astype(np.int64))
    found = quality(binary, target, answer, resamples=400, names=["roc_auc", "accuracy"])
    assert "undefined in" in found["roc_auc"].source
    assert "undefined" not in found["accuracy"].source
    assert found["roc_auc"].low <= found["roc_auc"].value == 1.0


def test_one_row_or_one_group_has_no_interval(numeric):
    answer = Answer(np.ones((1, 1)), np.ones(1))
    lonely = quality(numeric, np.zeros(1), answer, names=["mae"])["mae"]
    assert lonely.value == 1.0
    assert math.isnan(lonely.low)
    assert math.isnan(lonely.high)
    three = Answer(np.ones((3, 1)), np.ones(3))
    together = quality(numeric, np.arange(3.0), three, groups=np.zeros(3, dtype=np.int64), names=["mae"])["mae"]
    assert math.isnan(together.low)


def test_a_figure_that_resampling_pushes_up_still_lies_in_its_interval(binary):
    target = np.r_[np.ones(70, dtype=np.int64), np.zeros(30, dtype=np.int64)]
    calibrated = Answer(np.tile([0.3, 0.7], (100, 1)), np.ones(100, dtype=np.int64))
    found = quality(binary, target, calibrated, names=["ece"])["ece"]
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.low == found.value
    assert found.high > 0.05


def test_no_resamples_give_the_figures_alone(numeric, answers):
    target, answer = answers(numeric, 30)
    found = quality(numeric, target, answer, resamples=0)["rmse"]
    assert found.value > 0
    assert math.isnan(found.low)


def test_an_undefined_figure_is_nan_throughout(binary):
    target = np.zeros(20, dtype=np.int64)
    answer = Answer(np.tile([0.8, 0.2], (20, 1)), target)
    found = quality(binary, target, answer, names=["roc_auc"])["roc_auc"]
    assert found.to_json()["value"] is None
    assert math.isnan(found.high)


def test_the_better_answer_has_a_positive_difference_whichever_way_the_metric_runs(numeric, answers):
    target, _ = answers(numeric, 120)
    noise = np.random.default_rng(0).normal(0, 1, 120)
    near, far = (Answer((target + s * noise)[:, None], target + s * noise) for s in (0.2, 0.6))
    for name in ("rmse", "r2", "mae"):
        gain = paired(name, numeric, target, near, far)
        assert gain.value > 0, name
        assert gain.low > 0, name
        back = paired(metric(name), numeric, target, far, near)
        assert (back.value, back.low, back.high) == pytest.approx((-gain.value, -gain.high, -gain.low)), name


def test_comparing_on_the_same_rows_is_sharper_than_two_intervals(binary, answers):
    target, answer = answers(binary, 300)
    shifted = 0.9 * answer.scores + 0.1 * np.random.default_rng(0).dirichlet([1, 1], 300)
    other = Answer(shifted, shifted.argmax(axis=1))
    alone = quality(binary, target, answer, names=["roc_auc"])["roc_auc"]
    gain = paired("roc_auc", binary, target, answer, other)
    assert gain.high - gain.low < (alone.high - alone.low) / 2


def test_an_answer_equals_itself_exactly(binary, answers):
    target, answer = answers(binary, 50)
    same = paired("log_loss", binary, target, answer, answer)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def _broken(answer, flaw):
    scores, decided = answer.scores.copy(), answer.decided.copy()
    if flaw == "nan":
        scores[3, 0] = np.nan
    if flaw == "sum":
        scores[3] *= 1.5
    if flaw == "code":
        decided[3] = 2
    if flaw == "rows":
        scores = scores[:-1]
    if flaw == "width":
        scores = np.ones((len(scores), 1))
    return Answer(scores, decided)


@pytest.mark.parametrize(
    ("flaw", "sentence"),
    [
        ("nan", "not finite in 1 of 20 rows"),
        ("sum", "add up to one"),
        ("code", "class codes from 0 to 1"),
        ("rows", r"shape \(20, 2\).*got \(19, 2\)"),
        ("width", r"got \(20, 1\)"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_a_sentence(binary, answers, flaw, sentence):
    target, answer = answers(binary, 20)
    with pytest.raises(SteelyardError, match=sentence):
        quality(binary, target, _broken(answer, flaw))
    with pytest.raises(SteelyardError, match=sentence):
        paired("accuracy", binary, target, answer, _broken(answer, flaw))


def test_weights_and_groups_that_do_not_fit_are_refused(numeric, answers):
    target, answer = answers(numeric, 10)
    with pytest.raises(SteelyardError, match="positive numbers"):
        quality(numeric, target, answer, weights=np.zeros(10))
    with pytest.raises(SteelyardError, match="one a row"):
        quality(numeric, target, answer, groups=np.zeros(9, dtype=np.int64))


def test_no_rows_are_refused(numeric):
    with pytest.raises(SteelyardError, match="no rows"):
        quality(numeric, np.empty(0), Answer(np.empty((0, 1)), np.empty(0)))


def test_a_metric_that_does_not_apply_is_refused(numeric, answers):
    target, answer = answers(numeric, 10)
    with pytest.raises(SteelyardError, match="'accuracy' is for"):
        quality(numeric, target, answer, names=["accuracy"])
    with pytest.raises(SteelyardError, match="did you mean 'rmse'"):
        paired("rmsee", numeric, target, answer, answer)


def test_joint_figures_are_those_of_the_same_resamples_and_better_when_higher(numeric, answers):
    target, _ = answers(numeric, 120)
    noise = np.random.default_rng(0).normal(0, 1, 120)
    near, far = (Answer((target + s * noise)[:, None], target + s * noise) for s in (0.2, 0.6))
    draws = jointly("rmse", numeric, target, [near, far], resamples=200, seed=4)
    counts = np.concatenate(list(Bootstrap(rows=120, seed=4).counts(200)))
    assert draws.shape == (200, 2)
    assert draws[:, 1] == pytest.approx(-metric("rmse").resample(numeric, target, far, counts))
    assert (draws[:, 0] > draws[:, 1]).all()


def test_many_answers_get_fewer_joint_resamples(numeric, answers, monkeypatch):
    target, answer = answers(numeric, 500)
    monkeypatch.setattr(resampling, "WORK", 500 * 4 * 150)
    assert len(jointly("mae", numeric, target, [answer] * 4)) == 150
