from dataclasses import replace

import numpy as np
import optuna
import pytest

from steelyard.contracts import Ending, Problem, Task
from steelyard.levers.training import hurdles
from steelyard.levers.training._tune import Tune
from steelyard.recipe import Plan, Settings, Step, Train


def proposals(context, trial, how_many, score):
    """Play a search that tries what `tune` proposes."""
    trials = [trial(1, aim=score(0.1))]
    for number in range(2, how_many + 2):
        made = context(*trials)
        (move,) = [m for t in trials for m in Tune().moves(t, made)]
        rate = move.recipe.plan.settings.number("rate", 0.1)
        trials.append(trial(number, aim=score(rate), recipe=move.recipe, lever="tune"))
    return trials


def test_it_closes_in_on_what_is_good(context, trial):
    def score(rate):
        return 0.9 - abs(np.log10(rate) + 1.9)  # best near the low end, which one point in nine hits by chance

    trials = proposals(context, trial, 30, score)
    rates = [t.recipe.plan.settings.number("rate", 0.1) for t in trials]
    off = np.abs(np.log10(rates) + 1.9)
    assert np.mean(off[15:]) < 0.6 * np.mean(off[1:6])
    assert len({t.recipe for t in trials}) == len(trials)


def test_the_same_trials_give_the_same_proposal_in_every_process(context, trial):
    trials = (trial(1), trial(2, aim=0.6, rate=0.3), trial(3, aim=0.65, leaves=15))
    first, again = (list(Tune().moves(trials[0], context(*trials))) for _ in range(2))
    assert first == again
    assert list(Tune().moves(trials[0], replace(context(*trials), seed=1))) != first


def test_trials_of_other_learners_change_nothing(context, trial):
    mine, other = trial(1), trial(2, "lines", aim=0.9)
    assert list(Tune().moves(mine, context(mine))) == list(Tune().moves(mine, context(mine, other)))


def test_only_the_best_training_of_a_learner_is_gone_on_from(context, trial):
    worse, best, other = trial(1, aim=0.6), trial(2, aim=0.7, rate=0.2), trial(3, "lines", aim=0.9)
    made = context(worse, best, other)
    assert not list(Tune().moves(worse, made))
    assert [m.recipe.learner for t in (best, other) for m in Tune().moves(t, made)] == ["trees", "lines"]


def test_lower_errors_are_better(context, trial):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    worse, best = trial(1, aim=9.0, metric="rmse"), trial(2, aim=3.0, metric="rmse", rate=0.2)
    made = context(worse, best, task=task)
    assert not list(Tune().moves(worse, made))
    assert list(Tune().moves(best, made))


def test_proposals_stay_in_the_space_and_leave_defaults_out(context, trial):
    for number in range(20):
        first = trial(1)
        (move,) = Tune().moves(first, replace(context(first), seed=number))
        settings = move.recipe.plan.settings
        assert 4 <= settings.number("leaves", 31) <= 256
        assert isinstance(settings.get("leaves", 31), int)
        assert 0.01 <= settings.number("rate", 0.1) <= 0.5
        assert settings.get("kind", "dart") == "dart"
        assert "side" not in settings
        rate = settings.number("rate", 0.1)
        assert rate == float(f"{rate:.4g}")


def test_what_is_not_tuned_is_kept(context, trial):
    recipe = Train(
        learner="trees", plan=Plan(settings=Settings(side=9), rounds=7), data=(Step(lever="subsample"),), seed=5
    )
    first = trial(1, recipe=recipe)
    (move,) = Tune().moves(first, context(first))
    assert move.recipe.plan.settings["side"] == 9
    assert (move.recipe.plan.rounds, move.recipe.data, move.recipe.seed) == (7, recipe.data, 5)


def test_a_learner_without_ranges_is_not_tuned(context, trial):
    first = trial(1, "constant")
    assert not list(Tune().moves(first, context(first)))


def test_a_space_that_is_used_up_ends_the_tuning(context, trial):
    trials = [trial(1, "switch"), trial(2, "switch", on=True)]
    assert list(Tune().moves(trials[0], context(trials[0])))
    assert not list(Tune().moves(trials[0], context(*trials)))


def test_every_ending_is_taken_in(context, trial):
    best = trial(1, aim=0.9)
    others = [trial(2 + i, ending=e, rate=0.2 + i / 100, curve=((1, 0.5),)) for i, e in enumerate(Ending)]
    undefined = trial(20, aim=float("nan"), rate=0.4)
    (move,) = Tune().moves(best, context(best, *others, undefined))
    assert move.recipe not in {t.recipe for t in (best, *others)}


def test_settings_outside_the_ranges_are_no_obstacle(context, trial):
    first = trial(1, aim=0.9, leaves=1000, kind="odd")
    assert list(Tune().moves(first, context(first)))


def test_each_try_promises_less(context, trial):
    trials = proposals(context, trial, 3, lambda rate: rate)
    gains = []
    for upto in range(1, 4):
        made = context(*trials[:upto])
        gains += [m.prior.gain.value for t in trials[:upto] for m in Tune().moves(t, made)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > gains[-1]


def test_nothing_is_printed_and_the_verbosity_is_put_back(context, trial, capsys):
    before = optuna.logging.get_verbosity()
    first = trial(1)
    list(Tune().moves(first, context(first)))
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")


def test_apply_changes_settings_and_leaves_the_plan(trial):
    plan = Plan(settings=Settings(a=1, b=2), rounds=3)
    assert Tune().apply(plan, Settings(b=5)) == Plan(settings=Settings(a=1, b=5), rounds=3)
    assert plan.settings == Settings(a=1, b=2)


def curves(trial, *values, learner="trees", **more):
    return [
        trial(n, learner, curve=tuple(enumerate(v, start=1)), rate=0.01 * (n + 1), **more)
        for n, v in enumerate(values, start=1)
    ]


def test_hurdles_are_the_medians_of_earlier_trainings(trial):
    trials = curves(trial, *([0.1 * n, 0.2 * n, 0.3 * n, 0.4 * n] for n in range(1, 6)))
    found = hurdles(trials, Train(learner="trees"), warm_up=0.5)
    assert found == pytest.approx({2: 0.6, 3: 0.9, 4: 1.2})


def test_hurdles_are_those_of_optunas_median_pruner(trial):
    random = np.random.default_rng(0)
    values = random.random((7, 6))
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(5, 0))
    for v in values:
        study.add_trial(optuna.trial.create_trial(value=v[-1], intermediate_values=dict(enumerate(v, start=1))))
    found = hurdles(curves(trial, *values), Train(learner="trees"), warm_up=0.0)
    for step in range(1, 7):
        for height in (found[step] - 1e-9, found[step] + 1e-9):
            running = study.ask()
            running.report(height, step)
            assert running.should_prune() == (height < found[step])


def test_there_is_no_hurdle_before_enough_trainings(trial):
    rising = [[0.1, 0.2]] * 5
    recipe = Train(learner="trees")
    assert hurdles(curves(trial, *rising[:4]), recipe) == {}
    assert hurdles(curves(trial, *rising), recipe)
    assert hurdles(curves(trial, *rising), Train(learner="lines")) == {}
    assert hurdles(curves(trial, *rising), Train(learner="trees", data=(Step(lever="subsample"),))) == {}
    assert hurdles(curves(trial, *rising, ending=Ending.PRUNED), recipe) == {}


def test_a_step_that_few_reached_has_no_hurdle(trial):
    trials = curves(trial, *[[0.1, 0.2]] * 5, [0.1, 0.2, 0.3])
    assert set(hurdles(trials, Train(learner="trees"), warm_up=0)) == {1, 2}


def test_folds_count_by_their_mean(trial):
    twice = ((1, 0.2), (1, 0.4))
    trials = [trial(n, curve=twice, rate=0.01 * n) for n in range(1, 6)]
    assert hurdles(trials, Train(learner="trees"), warm_up=0) == pytest.approx({1: 0.3})


def test_a_lighter_training_is_not_stopped_for_being_worse_than_heavier_ones(trial):
    heavy = [trial(n, leaves=100 + n, curve=((1, 0.8), (2, 0.9))) for n in range(1, 6)]

    def burden(settings):
        return settings.number("leaves", 31)

    def of(leaves):
        recipe = Train(learner="trees", plan=Plan(settings=Settings(leaves=leaves)))
        return hurdles(heavy, recipe, warm_up=0, burden=burden)

    assert of(8) == {}
    assert of(200) == pytest.approx({1: 0.8, 2: 0.9})
    assert hurdles(heavy, Train(learner="trees"), warm_up=0) == pytest.approx({1: 0.8, 2: 0.9})
