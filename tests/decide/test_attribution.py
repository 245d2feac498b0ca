"""Shares of levers: fair to order where that can be told, and adding up exactly."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.contracts import Ending, Trial
from steelyard.decide.attribution import before, by_orders, by_path, interactions, levers_of, path, shared, without
from steelyard.recipe import Combine, Plan, Settings, Shrink, Step, Train
from steelyard.units import Estimate

TUNED, FEATURES = Settings(leaves=7), (Step(lever="features"),)


def boosted(*, tuned=False, features=False):
    return Train(learner="lightgbm", plan=Plan(settings=TUNED if tuned else Settings(), parts=FEATURES * features))


def trial(number, recipe, lever="start", value=0.5):
    figure = {"roc_auc": Estimate.exact(value)}
    return Trial(number=number, recipe=recipe, lever=lever, ending=Ending.MEASURED, validation=figure)


CONSTANT = trial(0, Train(learner="constant"))
GRID = [trial(1 + 2 * a + b, boosted(tuned=bool(a), features=bool(b))) for a, b in itertools.product((0, 1), (0, 1))]
ALL = [CONSTANT, *GRID]


def better(some):
    return some.validation["roc_auc"].value


def test_a_recipe_is_undone_lever_by_lever():
    recipe = Shrink(lever="quantise", parent=Combine(lever="calibrate", parents=(boosted(tuned=True, features=True),)))
    assert levers_of(recipe) == ("features", "tune", "calibrate", "quantise")
    for lever in ("quantise", "tune", "calibrate", "features"):
        recipe = without(recipe, lever)
    assert recipe == boosted()


def test_the_path_leads_from_the_constant_model_to_the_chosen_one():
    chosen = trial(9, Shrink(lever="quantise", parent=boosted(tuned=True)), "quantise")
    steps = path(chosen, [CONSTANT, GRID[0], GRID[2], chosen], better)
    assert [(lever, t.number) for lever, t in steps] == [("", 0), ("start", 1), ("tune", 3), ("quantise", 9)]


def test_an_ensemble_is_held_against_its_best_member():
    weak, strong = trial(1, Train(learner="linear"), value=0.7), trial(2, boosted(), value=0.8)
    both = trial(3, Combine(lever="ensemble", parents=(weak.recipe, strong.recipe)), "ensemble", 0.81)
    assert before(both, [CONSTANT, weak, strong, both], better) == ("ensemble", strong)


def test_levers_that_were_never_measured_apart_share_one_line():
    both = GRID[3]
    assert [lever for lever, _ in path(both, [CONSTANT, GRID[0], both], better)] == ["", "start", "features + tune"]
    assert [lever for lever, _ in path(both, [CONSTANT, both], better)] == ["", "start + features + tune"]


def test_with_every_subset_measured_shares_do_not_depend_on_order():
    shares = dict(by_orders(GRID[3], ALL))
    value = {0: 0, 1: 60, 2: 70, 3: 80, 4: 86}  # constant, plain, features, tuned, both
    found = {lever: sum(w * value[n] for n, w in weights.items()) for lever, weights in shares.items()}
    assert found == {"start": 60, "features": 8, "tune": 18}


@pytest.mark.parametrize("gone", range(1, 5))
def test_without_one_of_the_subsets_there_is_no_fair_share(gone):
    chosen = GRID[3]
    assert by_orders(chosen, [t for t in ALL if t.number != gone or t is chosen]) is None or gone == chosen.number


def test_an_interaction_is_the_joint_effect_less_the_single_ones():
    ((one, other, signs),) = interactions(GRID[3], ALL)
    assert {one, other} == {"features", "tune"}
    assert signs == {4: 1, 3: -1, 2: -1, 1: 1}
    assert interactions(GRID[3], ALL[:-1]) == interactions(GRID[2], ALL) == []


FIGURES = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5)


@given(FIGURES, st.integers(0, 9))
def test_shares_add_up_to_the_change_to_the_last_digit(values, digits):
    figures = dict(enumerate(values))
    steps = path(GRID[3], ALL, better)
    for shares in (by_orders(GRID[3], ALL), by_path(steps)):
        parts = shared(figures, [weights for _, weights in shares], digits)
        unit = 10**digits
        change = Fraction(round(Fraction(values[4]) * unit) - round(Fraction(values[0]) * unit), unit)
        assert sum(parts) == change
        assert all((part * unit).denominator == 1 for part in parts)


CHAIN = ("prune", "quantise", "fuse")


def shrunk(*names):
    recipe = boosted()
    for name in names:
        recipe = Shrink(lever=name, parent=recipe)
    return recipe


def test_each_step_of_a_chain_has_a_line_of_its_own():
    steps = [trial(k + 2, shrunk(*CHAIN[: k + 1]), CHAIN[k]) for k in range(3)]
    told = path(steps[-1], [CONSTANT, GRID[0], *steps], better)
    assert [(lever, t.number) for lever, t in told] == [
        ("", 0),
        ("start", 1),
        ("prune", 2),
        ("quantise", 3),
        ("fuse", 4),
    ]
    assert [lever for lever, _ in told] == ["", "start", *CHAIN]
    assert [lever for lever, _ in by_path(told)] == ["start", *CHAIN]


def test_steps_that_were_not_measured_apart_share_a_line():
    last = trial(4, shrunk(*CHAIN), "fuse")
    told = path(last, [CONSTANT, GRID[0], trial(2, shrunk("prune"), "prune"), last], better)
    assert [lever for lever, _ in told] == ["", "start", "prune + quantise + fuse"]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=5, max_size=5))
def test_the_lines_of_a_chain_add_up_to_all_that_it_changed(values):
    steps = [trial(k + 2, shrunk(*CHAIN[: k + 1]), CHAIN[k]) for k in range(3)]
    weights = [w for _, w in by_path(path(steps[-1], [CONSTANT, GRID[0], *steps], better))]
    figures = {number: value / 10**6 for number, value in enumerate(values)}
    assert sum(shared(figures, weights, 6)) == Fraction(values[-1] - values[0], 10**6)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=9, max_size=9))
def test_with_every_ablation_of_a_chain_its_shares_are_shapleys_and_add_up(values):
    subsets = [s for k in range(4) for s in itertools.combinations(CHAIN, k)]
    trials = [CONSTANT, *(trial(k + 1, shrunk(*names)) for k, names in enumerate(subsets))]
    shares = by_orders(trials[-1], trials)
    assert [lever for lever, _ in shares] == ["start", *CHAIN]
    figures = dict(enumerate(map(float, values)))
    assert sum(shared(figures, [w for _, w in shares], 0)) == values[-1] - values[0]
    alone = {names: values[k + 1] for k, names in enumerate(subsets)}
    orders = list(itertools.permutations(CHAIN))
    for lever, weights in shares[1:]:
        own = Fraction(0)
        for order in orders:
            before_it = [c for c in CHAIN if order.index(c) < order.index(lever)]
            with_it = tuple(c for c in CHAIN if c in before_it or c == lever)
            own += alone[with_it] - alone[tuple(before_it)]
        assert sum(w * values[n] for n, w in weights.items()) == own / len(orders)
