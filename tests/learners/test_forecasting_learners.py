"""Learners that forecast keep the contract of all learners, and do what their papers say."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.running import GraphModel
from steelyard.contracts import Problem, Task, Work
from steelyard.learners.series._dlinear import DLinear, averaging
from steelyard.learners.series._naive import SeasonalNaive
from steelyard.learners.series._rows import targets_of
from steelyard.learners.series._stgcn import adjacency_of, scaled_laplacian
from steelyard.learners.series._theta import FittedTheta, Theta
from steelyard.learners.series._theta_steps import ADDITIVE, MULTIPLICATIVE, NONE, RATES, forecasts
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners
from steelyard.tasks import metric
from steelyard.testing.pupils import Pupil, Watch
from steelyard.testing.series_scenes import CHECKS, HISTORY, HORIZON, SEASON, series_scenes

QUICK = ("seasonal-naive", "theta", "dlinear")
PLANS = {"gbdt-lags": Plan(), "stgcn": Plan(settings=Settings(epochs=3, width=8))}


def scene(name):
    return next(one for one in series_scenes() if one.name.startswith(name))


def hold(name, one, plan=None):
    pupil = Pupil(learner=learners().get(name), scene=one, plan=plan or Plan())
    assert pupil.learner.accepts(one.task, one.schema) is None
    for check in CHECKS:
        check(pupil)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("table", ["long", "wide"])
def test_a_forecaster_keeps_its_contract(name, table):
    hold(name, scene(table))


@pytest.mark.slow
@pytest.mark.parametrize("table", ["long", "wide"])
def test_boosted_trees_on_lags_keep_the_contract(table):
    hold("gbdt-lags", scene(table), PLANS["gbdt-lags"])


@pytest.mark.slow
@pytest.mark.deep
def test_the_graph_net_keeps_the_contract():
    pytest.importorskip("torch", reason="the extra `deep` is not installed")
    hold("stgcn", scene("wide"), PLANS["stgcn"])


@pytest.mark.parametrize("name", [*QUICK, *PLANS])
def test_what_is_no_forecast_is_refused_in_a_sentence(name):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    refusal = learners().get(name).accepts(task, scene("long").schema)
    assert refusal is not None
    assert "forecast" in refusal.sentence


def test_the_graph_net_refuses_a_single_series():
    one = scene("long")
    assert "forecast.together" in learners().get("stgcn").accepts(one.task, one.schema).sentence


def answered(learner, one, **settings):
    fitted = learner.fit(Plan(settings=Settings(settings)), one.train, None, one.work, Watch())
    model = GraphModel(fitted.export(), one.task, one.schema, threads=1)
    return replace(model.answer(one.valid.columns), scales=one.valid.scales)


def test_the_seasonal_naive_forecast_repeats_the_last_season():
    one = scene("wide")
    told = answered(SeasonalNaive(), one).decided.reshape(-1, HORIZON, 3)
    cells = one.valid.columns["history"]
    row = next(place for place, cell in enumerate(cells) if not np.isnan(cell[:HISTORY]).any())
    np.testing.assert_allclose(told[row], cells[row][HISTORY - SEASON : HISTORY - SEASON + HORIZON, :3], rtol=1e-6)


@pytest.mark.parametrize("table", ["long", "wide"])
def test_dlinear_beats_the_seasonal_naive_forecast(table):
    one = scene(table)
    naive, own = (
        metric("mase").measure(one.task, one.valid.target, answered(learners().get(each), one))
        for each in ("seasonal-naive", "dlinear")
    )
    assert own < 0.97 * naive


def test_theta_smooths_by_the_rate_that_foretells_best_and_adds_half_the_trend():
    values = np.random.default_rng(3).normal(size=(1, 40)).cumsum(axis=1) + 50 + 0.3 * np.arange(40)
    best = (np.inf, 0.0, 0.0)
    for rate in RATES:
        level, squares = values[0, 0], 0.0
        for value in values[0]:
            squares += (value - level) ** 2
            level += rate * (value - level)
        best = min(best, (squares, rate, level))
    _, rate, level = best
    slope = np.polyfit(np.arange(40), values[0], 1)[0]
    start = (1 - (1 - rate) ** 40) / rate
    expected = level + slope / 2 * (np.arange(3) + start)
    np.testing.assert_allclose(forecasts(values, np.array([40.0]), 1, 3, NONE)[0], expected, rtol=1e-9)


def test_theta_of_a_young_series_ignores_what_pads_it():
    young = np.random.default_rng(0).normal(size=(1, 15)) + 10
    padded = np.concatenate([np.repeat(young[:, :1], 20, axis=1), young], axis=1)
    alone, within = (forecasts(v, np.array([15.0]), 1, 4, NONE) for v in (young, padded))
    np.testing.assert_allclose(alone, within, rtol=1e-9)


@pytest.mark.parametrize("way", [ADDITIVE, MULTIPLICATIVE])
@pytest.mark.parametrize("season", [4, 5])
def test_theta_takes_a_season_out_and_puts_it_back(way, season):
    figures = np.array([5.0, 8.0, 11.0, 16.0, 10.0])[:season]
    values = np.tile(figures, 8)[None]
    told = forecasts(values, np.array([float(values.shape[1])]), season, season, way)
    np.testing.assert_allclose(told[0], figures, atol=0.02)


def test_a_series_that_crosses_zero_keeps_its_season_where_dividing_would_blow_it_up():
    values = np.tile([-5.0, 8.0, 1.0, 0.0], 6)[None]
    by_factor, plain = (forecasts(values, np.array([24.0]), 4, 4, way) for way in (MULTIPLICATIVE, NONE))
    np.testing.assert_array_equal(by_factor, plain)


@pytest.mark.parametrize("way", [NONE, ADDITIVE, MULTIPLICATIVE])
def test_the_graph_of_theta_computes_what_its_steps_say(way):
    one = scene("long")
    fitted = FittedTheta(one.task, way)
    shipped = GraphModel(fitted.export(), one.task, one.schema, threads=1).answer(one.train.columns).scores
    np.testing.assert_allclose(shipped, fitted.scores(one.train.columns), rtol=1e-6)


def test_theta_chooses_how_a_season_is_taken_out():
    one = scene("wide")
    assert Theta().fit(Plan(), one.train, None, one.work, Watch()).way == ADDITIVE


def test_dlinear_solves_the_least_squares_of_its_two_maps():
    one = scene("wide")
    fitted = DLinear().fit(Plan(settings=Settings(scaling="channel", kernel=5)), one.train, None, one.work, Watch())
    trend = averaging(HISTORY, 5)
    values = targets_of(fitted._front(one.train.columns)["history"], one.task).astype(np.float64)
    flat, _, _ = fitted.scaled(values)
    wanted = ((one.train.target.reshape(len(values), HORIZON, 3) - fitted.mean) / fitted.spread).transpose(0, 2, 1)
    wanted = wanted.reshape(-1, HORIZON)
    full = ~np.isnan(wanted).any(axis=1)
    design = np.column_stack([flat[full] @ trend, flat[full] @ (np.eye(HISTORY) - trend), np.ones(full.sum())])
    best = np.linalg.lstsq(design, wanted[full], rcond=None)[0]
    least = np.square(design @ best - wanted[full]).mean()
    own = np.square(flat[full] @ fitted.maps + fitted.offset - wanted[full]).mean()
    assert least <= own < 1.05 * least


def test_the_graph_ties_series_that_move_alike_and_honours_one_that_is_given():
    random, one = np.random.default_rng(0), scene("wide")
    common = random.normal(size=(200, 14)).cumsum(axis=1)
    seen = np.stack([common, common + 0.1 * random.normal(size=common.shape), random.normal(size=common.shape)], axis=2)
    ties = adjacency_of(one.task, seen)
    assert ties[0, 1] > 0.9
    assert ties[0, 2] < 0.2
    given = replace(one.task, timeline=replace(one.task.timeline, edges=((0.0, 2.0, 0.5),)))
    np.testing.assert_array_equal(adjacency_of(given, seen), [[0, 0, 0.5], [0, 0, 0], [0.5, 0, 0]])
    values = np.linalg.eigvalsh(scaled_laplacian(ties))
    assert values.min() >= -1 - 1e-9
    assert values.max() <= 1 + 1e-9


def test_no_learner_that_forecasts_needs_validation_rows_or_a_deadline():
    one = scene("long")
    work = Work(task=one.task, schema=one.schema, seed=3)
    for name in QUICK:
        assert np.isfinite(
            learners().get(name).fit(Plan(), one.train, None, work, Watch()).scores(one.valid.columns)
        ).all()
