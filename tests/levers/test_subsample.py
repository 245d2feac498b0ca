from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Ending, Problem, Split, Task
from steelyard.errors import SteelyardError
from steelyard.levers.data._subsample import Subsample
from steelyard.recipe import Settings, Step


@pytest.fixture
def split(random):
    target = (random.random(1000) < 0.02).astype(np.int64)
    return Split({"age": np.arange(1000.0)}, target, np.arange(1000), np.linspace(1, 2, 1000))


def test_a_quarter_of_every_class_is_kept(split, work, meter):
    kept = Subsample().apply(split, Settings(), work, meter)
    for one in (0, 1):
        assert (kept.target == one).sum() == np.ceil(0.25 * (split.target == one).sum())
    assert (np.diff(kept.rows) > 0).all()
    np.testing.assert_array_equal(kept.weights, split.weights[kept.rows])


def test_a_larger_share_holds_the_rows_of_a_smaller_one(split, work, meter):
    small, large = (set(Subsample().apply(split, Settings(share=s), work, meter).rows) for s in (0.1, 0.4))
    assert small < large


def test_the_seed_decides_which_rows(split, work, meter):
    one, again = (Subsample().apply(split, Settings(), work, meter).rows for _ in range(2))
    other = Subsample().apply(split, Settings(), replace(work, seed=4), meter).rows
    assert (one == again).all()
    assert not np.array_equal(one, other)


def test_the_range_of_a_number_is_kept(split, work, meter, random):
    numbers = replace(work, task=Task(problem=Problem.REGRESSION, target="y", aim="rmse"))
    kept = Subsample().apply(replace(split, target=random.exponential(size=1000)), Settings(share=0.1), numbers, meter)
    ranks = np.searchsorted(np.sort(kept.target), np.quantile(kept.target, np.linspace(0.1, 0.9, 9)))
    assert len(kept) == 100
    assert np.ptp(np.diff(ranks)) <= 1


def test_a_share_of_one_keeps_everything(split, work, meter):
    assert len(Subsample().apply(split, Settings(share=1.0), work, meter)) == 1000


@pytest.mark.parametrize("settings", [Settings(share=0.0), Settings(share=1.5), Settings(shar=0.5)])
def test_settings_that_make_no_sense_are_refused(split, work, meter, settings):
    with pytest.raises(SteelyardError, match="shar"):
        Subsample().apply(split, settings, work, meter)


def test_many_rows_are_cut_to_a_quarter(trial, context):
    first = trial(1, rate=0.2)
    (move,) = Subsample().moves(first, context(first, rows=50_000, parts=3))
    assert move.recipe.data == (Step(lever="subsample", settings=Settings(share=0.25)),)
    assert move.recipe.plan == first.recipe.plan
    assert move.prior.seconds.value == pytest.approx(3 * 12.5)


def test_nothing_is_cut_where_it_would_not_help(trial, context):
    first, cheap = trial(1), trial(2, "constant")
    many = {"rows": 50_000}
    (move,) = Subsample().moves(first, context(first, **many))
    assert not list(Subsample().moves(first, context(first, rows=19_999)))
    assert not list(Subsample().moves(cheap, context(cheap, **many)))
    assert not list(Subsample().moves(first, context(first, trial(2, recipe=move.recipe), **many)))
    assert not list(Subsample().moves(trial(2, recipe=move.recipe), context(first, **many)))
    assert not list(Subsample().moves(trial(3, ending=Ending.FAILED), context(first, **many)))
