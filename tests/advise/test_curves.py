"""Learning curves: what more rows bring, with an interval that means what it says."""

import numpy as np
import pytest

from steelyard.advise import Curve, Prior, TooFewSizes
from steelyard.advise.families import FAMILIES, shapes

ROWS = np.array([100, 100, 200, 200, 400, 400, 800, 800, 1600])


def law(rows, top=0.95, factor=3.0, power=0.6):
    return top - factor * np.asarray(rows, float) ** -power


def test_a_curve_without_noise_is_foretold_closely():
    curve = Curve.of(ROWS, law(ROWS), top=1.0)
    for rows in (3200, 6400):
        assert curve.at(rows).value == pytest.approx(law(rows), abs=0.006)


def test_the_80_percent_interval_holds_about_80_percent_of_what_comes():
    random, held = np.random.default_rng(3), []
    for _ in range(40):
        top, power = random.uniform(0.8, 0.99), random.uniform(0.3, 0.8)
        factor = random.uniform(0.3, 0.6) * 100**power
        noise = random.uniform(0.005, 0.02)

        def score(rows, top=top, factor=factor, power=power, noise=noise):
            rows = np.asarray(rows, float)
            return law(rows, top, factor, power) + noise * np.sqrt(1600 / rows) * random.normal(size=rows.shape)

        low, high = Curve.of(ROWS, score(ROWS), top=1.0).at(3200).interval(0.8)
        held.append(low <= score([3200])[0] <= high)
    assert 0.65 <= np.mean(held) <= 0.97


def test_other_units_change_nothing_but_the_unit():
    one = Curve.of(ROWS, law(ROWS), top=1.0).at(3200)
    other = Curve.of(ROWS, 1000 * law(ROWS) - 5000, top=-4000.0).at(3200)
    assert other.value == pytest.approx(1000 * one.value - 5000, rel=1e-6)
    assert other.spread == pytest.approx(1000 * one.spread, rel=1e-6)


def test_where_more_rows_brought_nothing_they_are_not_expected_to():
    random = np.random.default_rng(0)
    scores = 0.8 + 0.002 * random.normal(size=len(ROWS))
    gain = Curve.of(ROWS, scores, top=1.0).gain(1600, 3200)
    low, high = gain.interval(0.95)
    assert gain.value < 0.01
    assert low < 0.004 < high + 0.004


def test_a_steeper_curve_promises_more():
    flat, steep = (Curve.of(ROWS, law(ROWS, power=p), top=1.0).gain(1600, 3200).value for p in (1.2, 0.4))
    assert steep > flat > 0


def test_a_curve_whose_larger_sizes_were_foretold_badly_gets_wider_intervals():
    usual = law(ROWS)
    jumped = np.where(ROWS >= 800, usual + 0.08, usual)
    assert Curve.of(ROWS, jumped, top=1.0).width > 1.3 * Curve.of(ROWS, usual, top=1.0).width


def test_quantiles_rise_and_the_interval_lies_around_the_middle():
    told = Curve.of(ROWS, law(ROWS), top=1.0).at(3200)
    ends = [told.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]
    assert ends == sorted(ends)
    assert told.interval(0.5) == (ends[1], ends[3])
    assert told.interval(0.8)[0] < told.value < told.interval(0.8)[1]


def test_no_more_rows_bring_nothing_and_without_its_noise_the_future_is_surer():
    curve = Curve.of(ROWS, law(ROWS), top=1.0)
    assert curve.gain(1600, 1600).value == pytest.approx(0.0, abs=1e-12)
    assert curve.at(3200, noise=False).spread < curve.at(3200).spread


def test_scores_that_are_no_numbers_are_left_out_and_too_few_sizes_are_said():
    scores = law(ROWS)
    scores[0] = np.nan
    assert len(Curve.of(ROWS, scores, top=1.0).rows) == len(ROWS) - 1
    with pytest.raises(TooFewSizes, match=r"3 different sizes, and there are 2; let `--minutes`"):
        Curve.of([100, 200, 200, 400], [0.1, 0.2, 0.3, np.nan], top=1.0)


def test_a_perfect_model_and_one_size_of_score_break_nothing():
    assert Curve.of([100, 200, 400], [1.0, 1.0, 1.0], top=1.0).at(800).value == pytest.approx(1.0, abs=1e-6)


def test_every_shape_is_one_where_the_rows_are_and_never_rises():
    x = np.geomspace(1 / 16, 8, 25)
    for shape in shapes():
        heights = shape.at(x)
        assert shape.at(np.ones(1))[0] == pytest.approx(1.0)
        assert np.all(np.diff(heights) <= 1e-9), shape
        assert np.all(heights >= 0)
    weights = Curve.of(ROWS, law(ROWS), top=1.0).families
    assert weights.keys() == FAMILIES.keys()
    assert sum(weights.values()) == pytest.approx(1.0)


def test_the_prior_speaks_where_the_points_say_little():
    random = np.random.default_rng(1)
    rows, scores = [25, 50, 100], 0.5 + 0.05 * random.normal(size=3)
    hopeful, gloomy = (
        Curve.of(rows, scores, top=1.0, prior=Prior(step=step, spread=0.02)).gain(100, 200).value
        for step in (-0.2, -0.01)
    )
    assert hopeful > gloomy + 0.02
