"""Published results as beliefs: what looks say of each other, and what one more of them is worth."""

import math

import numpy as np
import pytest

from steelyard.search.beliefs import Beliefs, Seen
from steelyard.search.experience import DEFAULT, JOINED, TUNED, Experience, Prices, experience


def made(mean, covariance, optimism=None, noise=None):
    count = len(mean)
    flat = Prices(constant=0.0, rows=1.0, columns=0.0, spread=0.1)
    return Experience(
        looks=tuple(f"F{i} (default)" for i in range(count)),
        mean=np.array(mean, float),
        covariance=np.array(covariance, float),
        optimism=np.zeros(count) if optimism is None else np.array(optimism, float),
        noise=np.ones(count) if noise is None else np.array(noise, float),
        training=(flat,) * count,
        answering=(flat,) * count,
        families={"f0": "F0"},
        source="made up",
        date="2026-01-01",
    )


def test_a_hard_table_shifts_all_looks_alike():
    beliefs = Beliefs(made([0.0, 0.1], np.diag([0.01, 0.01])), {"F0 (default)": Seen(2.0, 0.01)})
    assert beliefs.error("F1 (default)") == pytest.approx(2.1, abs=0.01)
    assert beliefs.difference("F1 (default)", "F0 (default)")[0] == pytest.approx(0.1, abs=0.01)


def test_what_is_seen_is_drawn_to_what_its_relatives_say_as_far_as_it_is_noisy():
    covariance = np.array([[0.04, 0.036], [0.036, 0.04]])

    def expected(noise):
        seen = {"F0 (default)": Seen(0.0, 0.001), "F1 (default)": Seen(-0.3, noise)}
        return Beliefs(made([0.0, 0.0], covariance), seen).error("F1 (default)")

    assert expected(0.001) == pytest.approx(-0.3, abs=0.01)
    assert expected(0.05) > expected(0.001) + 0.05
    assert expected(1.0) == pytest.approx(0.0, abs=0.05)


def test_the_posterior_is_that_of_the_normal_distribution():
    random = np.random.default_rng(3)
    root = random.normal(size=(4, 4))
    known = made(random.normal(size=4), root @ root.T, optimism=[0.0, -0.5, 0.3, 0.0], noise=[1.0, 0.5, 2.0, 1.0])
    seen = {"F1 (default)": Seen(0.4, 0.2), "F2 (default)": Seen(-0.1, 0.1)}
    mean, covariance = Beliefs(known, seen)._posterior
    prior = known.covariance + 100.0
    at = [1, 2]
    told = np.array([0.4, -0.1]) - known.optimism[at] * [0.2, 0.1]
    among = prior[np.ix_(at, at)] + np.diag([(0.5 * 0.2) ** 2, (2.0 * 0.1) ** 2])
    gain = prior[:, at] @ np.linalg.inv(among)
    np.testing.assert_allclose(mean, known.mean + gain @ (told - known.mean[at]), rtol=1e-8)
    np.testing.assert_allclose(covariance, prior - gain @ prior[at], atol=1e-8)


def test_a_look_is_worth_what_simulation_says():
    known = made([0.0, 0.05], [[0.02, 0.005], [0.005, 0.03]])
    beliefs = Beliefs(known, {"F0 (default)": Seen(0.0, 0.05)})
    random = np.random.default_rng(0)
    mean, covariance = beliefs._posterior
    truth = random.multivariate_normal(mean, covariance, size=20_000)
    figures = truth[:, 1] + 0.05 * random.normal(size=len(truth))
    spread = covariance[1, 1] + 0.05**2
    after = mean[:, None] + covariance[:, 1][:, None] * (figures - mean[1]) / spread
    picked = np.where(after[1] < after[0], truth[:, 1], truth[:, 0])
    simulated = mean[0] - picked.mean()
    assert beliefs.worth("F1 (default)", 0.05) == pytest.approx(simulated, abs=0.004)


def test_before_the_first_look_anything_is_worth_having_and_a_noisy_look_is_worth_less():
    known = made([0.0, 0.0], np.diag([0.02, 0.02]))
    assert Beliefs(known, {}).worth("F0 (default)", 0.1) == math.inf
    seen = Beliefs(known, {"F0 (default)": Seen(0.0, 0.01)})
    assert 0 < seen.worth("F1 (default)", 0.5) < seen.worth("F1 (default)", 0.01)


def test_what_ships_knows_every_look_at_our_learners_and_says_where_it_comes_from():
    known = experience()
    assert "TabArena" in known.source
    assert known.date >= "2026-01-01"
    for learner in ("catboost", "lightgbm", "extra-trees", "linear", "mlp"):
        assert all(known.look(learner, kind) for kind in (DEFAULT, TUNED, JOINED))
        gain, spread = known.gain(learner, DEFAULT, TUNED)
        assert 0 < gain < 0.3
        assert spread > 0
    assert known.look("knn") is None
    assert np.linalg.eigvalsh(known.covariance).min() > -1e-4
    assert Experience.from_json(known.to_json()).looks == known.looks


def test_published_orders_hold_the_best_defaults_are_boosted_trees():
    known = experience()
    order = sorted(
        ("catboost", "lightgbm", "extra-trees", "linear"), key=lambda x: known.mean[known.at([known.look(x)])[0]]
    )
    assert order == ["catboost", "lightgbm", "extra-trees", "linear"]


def test_seconds_grow_with_rows():
    known = experience()
    prices = known.training[known.looks.index("CAT (default)")]
    assert prices.seconds(100_000, 20) > 3 * prices.seconds(1_000, 20)
