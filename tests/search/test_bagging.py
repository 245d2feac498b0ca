"""A recipe with a bag: which rows train and stop its models, what ships, and what happens when time is short."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from steelyard.bundle import load as load_bundle
from steelyard.contracts import Ending, Errand
from steelyard.errors import SteelyardError
from steelyard.levers.refusal import LeverRefused
from steelyard.measure import peak_rss_bytes
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.registry import learners
from steelyard.search.bagging import bag
from steelyard.search.cutting import cut_folds
from steelyard.search.execute import execute
from steelyard.search.finish import rounds_of
from steelyard.search.fitting import trainer_of
from steelyard.search.making import Bench, OutOfTime
from steelyard.search.meter import JobMeter
from steelyard.search.store import Store, outcome_from_json
from steelyard.units import Seconds


def bagged(learner="lightgbm", folds=3, **settings):
    step = Step(lever="bag", settings=Settings(folds=folds))
    return Train(learner=learner, plan=Plan(parts=(step,), settings=Settings(settings)))


QUICK = bagged(learning_rate=0.3)


@pytest.fixture
def bench(kept, job):
    folder, dataset = kept

    def make(recipe=QUICK, seconds=60.0, **more):
        return Bench(
            job=job(recipe), store=Store(folder), dataset=replace(dataset, **more), meter=JobMeter(Seconds(seconds))
        )

    return make


# ------------------------------------------------------------------------------------------------- folds


@pytest.mark.parametrize("folds", [2, 5])
def test_every_row_is_in_one_fold_and_every_fold_like_the_whole(kept, folds):
    _, dataset = kept
    fit = dataset.partition.parts[0].fit
    cut = cut_folds(dataset, fit, folds, 0)
    assert sorted(np.concatenate(cut)) == sorted(fit)
    assert np.ptp([len(fold) for fold in cut]) <= 1
    assert np.ptp([dataset.rows.target[fold].mean() for fold in cut]) < 0.05
    assert any((a != b).any() for a, b in zip(cut, cut_folds(dataset, fit, folds, 1), strict=True))


def test_folds_are_stretches_of_time_where_time_orders_the_rows(kept):
    _, dataset = kept
    times = np.random.default_rng(1).permutation(len(dataset.rows) // 2).repeat(2).astype(float)
    cut = cut_folds(replace(dataset, times=times), dataset.partition.parts[0].fit, 4, 0)
    ends = [(times[fold].min(), times[fold].max()) for fold in cut]
    assert len(cut) == 4
    assert all(before[1] < after[0] for before, after in pairwise(ends))


@pytest.mark.parametrize("by_time", [False, True])
def test_groups_stay_whole(kept, by_time):
    _, dataset = kept
    groups = np.arange(len(dataset.rows)) % 20
    times = (np.arange(len(dataset.rows)) // 3).astype(float) if by_time else None
    cut = cut_folds(replace(dataset, groups=groups, times=times), dataset.partition.parts[0].fit, 3, 0)
    assert len(cut) == 3
    for number, fold in enumerate(cut):
        others = np.concatenate(cut[:number] + cut[number + 1 :])
        assert not set(groups[fold]) & set(groups[others])


def test_one_group_cannot_be_cut(bench, kept):
    _, dataset = kept
    one = bench(groups=np.zeros(len(dataset.rows), np.int64))
    with pytest.raises(Exception, match="two groups"):
        bag(trainer_of(QUICK, one), dataset.partition.parts[0].fit, 3)


# ----------------------------------------------------------------------------------------------- training


def test_each_model_trains_without_its_fold_and_stops_by_it(bench, kept, monkeypatch):
    from steelyard.learners._lightgbm import LightGBM

    seen, honest = [], LightGBM.fit

    def watched(self, plan, train, valid, *more):
        seen.append((plan, set(train.rows), set(valid.rows)))
        return honest(self, plan, train, valid, *more)

    monkeypatch.setattr(LightGBM, "fit", watched)
    fit = kept[1].partition.parts[0].fit
    made = bag(trainer_of(QUICK, bench()), fit, 3)
    assert len(made.members) == len(seen) == 3
    for plan, trained, stopped_by in seen:
        assert not plan.parts
        assert not trained & stopped_by
        assert trained | stopped_by == set(fit)
    assert set().union(*(stopped_by for _, _, stopped_by in seen)) == set(fit)


def test_a_bag_is_measured_shipped_and_refitted_as_the_mean_of_its_models(kept, job):
    folder, dataset = kept
    outcome = outcome_from_json(execute(job(QUICK)))
    assert 0 < outcome.peak_bytes <= peak_rss_bytes()
    assert (outcome.ending, outcome.note, outcome.rounds) == (Ending.MEASURED, "", ())
    store = Store(folder)
    rounds = rounds_of(QUICK, store)
    assert rounds == (0,), "a refit would repeat a number of rounds that no model took"
    made = execute(job(QUICK, errand=Errand.REFIT, rounds=rounds))
    bench = Bench(job=job(QUICK), store=store, dataset=dataset, meter=JobMeter(Seconds(60)))
    everything = dataset.partition.development
    again = bag(trainer_of(QUICK, bench), everything, 3)
    rows = dataset.rows.take(dataset.partition.test).columns
    shipped = load_bundle(folder / "bundles" / made["bundle"]).answer(rows).scores
    np.testing.assert_allclose(shipped, again.scores(rows), atol=1e-5)
    apart = np.abs(again.members[0].scores(rows) - shipped).max()
    assert apart > 1e-3, "its models are all alike, so this shows nothing"


def test_a_learner_without_rounds_is_bagged_too(job):
    assert outcome_from_json(execute(job(bagged("linear")))).ending is Ending.MEASURED


def test_fixed_rounds_are_kept_by_every_model(bench, kept):
    recipe = replace(QUICK, plan=replace(QUICK.plan, rounds=4))
    made = bag(trainer_of(recipe, bench()), kept[1].partition.parts[0].fit, 3)
    assert [member.rounds for member in made.members] == [4, 4, 4]


def test_folds_out_of_range_are_refused(job):
    outcome = outcome_from_json(execute(job(bagged(folds=1))))
    assert outcome.ending is Ending.REFUSED
    assert "2 to 20" in outcome.note
    assert issubclass(LeverRefused, SteelyardError)


# --------------------------------------------------------------------------------------------------- time


class Slow:
    """A learner that keeps what time it was told it has, and is cut short at its second training."""

    name, honours, about = "slow", frozenset({"rounds"}), "takes its time"

    def __init__(self):
        self.told = []

    def accepts(self, task, schema):
        return None

    def space(self, task, schema):
        return learners().get("constant").space(task, schema)

    def fit(self, plan, train, valid, work, meter):
        self.told.append(float(meter.remaining()))
        fitted = learners().get("constant").fit(Plan(), train, None, work, meter)
        return _Stopped(fitted) if len(self.told) == 2 else fitted


class _Stopped:
    rounds, stopped = 3, True

    def __init__(self, fitted):
        self.scores, self.export = fitted.scores, fitted.export


def test_models_share_the_time_and_one_cut_short_ends_the_bag(bench, kept, monkeypatch):
    slow = Slow()
    monkeypatch.setitem(learners()._made, "slow", slow)
    recipe = bagged("slow", folds=4)
    with pytest.raises(OutOfTime):
        bag(trainer_of(recipe, bench(recipe, seconds=60.0)), kept[1].partition.parts[0].fit, 4)
    first, second = slow.told
    assert first == pytest.approx(60 / 4, abs=1)
    assert second == pytest.approx(60 / 3, abs=1.5), "what the first one left is not shared by the others"


def test_without_time_nothing_is_trained(bench, kept):
    with pytest.raises(OutOfTime):
        bag(trainer_of(QUICK, bench(seconds=0.0)), kept[1].partition.parts[0].fit, 3)


def test_only_the_first_model_is_on_the_curve(bench, kept):
    one = bench()
    bag(trainer_of(QUICK, one), kept[1].partition.parts[0].fit, 3)
    steps = [step for step, _ in one.meter.curve]
    assert steps
    assert steps == sorted(set(steps))
