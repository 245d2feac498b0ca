"""The p-values behind a promise: exact where they count, never too small where they bet."""

from itertools import product

import numpy as np
import pytest

from steelyard.promise.pvalues import DOUBT, Paired, chance_of_net, doubt, units_needed


@pytest.mark.parametrize(("units", "limit", "rate"), [(3, 0.2, 0.2), (5, 0.1, 0.5), (6, 0.3, 0.9), (4, 0.2, 1.0)])
def test_the_chance_of_a_net_loss_is_that_of_counting_every_outcome(units, limit, rate):
    chances = {1: (rate + limit) / 2, 0: 1 - rate, -1: (rate - limit) / 2}
    for net in range(-units, units + 1):
        outcomes = (o for o in product(chances, repeat=units) if sum(o) <= net)
        by_hand = sum(np.prod([chances[one] for one in o]) for o in outcomes)
        assert chance_of_net(net, units, limit, rate) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize(("net", "moved", "units"), [(10, 50, 2000), (0, 100, 2000), (20, 200, 4000), (0, 0, 500)])
def test_the_chance_grows_with_the_rate_so_that_its_bound_decides(net, moved, units):
    rates = np.geomspace(0.01, min(1.0, 3 * (moved + 8) / units), 40)
    chances = [chance_of_net(net, units, 0.01, rate) for rate in rates]
    assert np.all(np.diff(chances) >= -1e-12)


def losing(random, units, limit, rate):
    """Draw losses whose mean is exactly the limit: the hypothesis at its edge."""
    return random.choice([1.0, 0.0, -1.0], size=(1, units), p=[(rate + limit) / 2, 1 - rate, (rate - limit) / 2])


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.6])
@pytest.mark.parametrize("signs", [True, False])
def test_a_loss_at_the_limit_is_seldom_doubted_away(random, rate, signs):
    draws = 1000
    wrong = sum(doubt(Paired(losing(random, 900, 0.02, rate), signs=signs), 0.02) <= DOUBT for _ in range(draws))
    assert wrong / draws <= DOUBT + 3 * np.sqrt(DOUBT * (1 - DOUBT) / draws)


def test_weighted_losses_at_the_limit_are_seldom_doubted_away(random):
    wrong = 0
    for _ in range(500):
        weights = random.choice([0.2, 1.0], size=(1, 600))
        lost = (random.random((1, 600)) < np.where(weights == 1.0, 0.06, 0.01)).astype(float)  # 0.05167, weighted
        wrong += doubt(Paired(lost, weights), 0.0516) <= DOUBT
    assert wrong / 500 <= DOUBT + 3 * np.sqrt(DOUBT * (1 - DOUBT) / 500)


def test_gains_make_up_for_losses():
    lost, both = np.zeros((1, 2000)), np.zeros((1, 2000))
    lost[0, :15] = both[0, :15] = 1.0
    both[0, 15:30] = -1.0
    for signs in (True, False):
        assert doubt(Paired(both, signs=signs), 0.01) < doubt(Paired(lost, signs=signs), 0.01)
    assert doubt(Paired(both, signs=True), 0.01) <= DOUBT < doubt(Paired(lost, signs=True), 0.01)


def test_a_tie_counts_as_a_loss_and_never_as_a_gain():
    tied = np.zeros((1, 600))
    tied[0, :10] = 0.5
    whole = np.ceil(tied)
    assert doubt(Paired(tied, signs=True), 0.02) == doubt(Paired(whole, signs=True), 0.02)
    assert doubt(Paired(-tied, signs=True), 0.02) == doubt(Paired(0 * tied, signs=True), 0.02)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("limit", [0.3, 0.05, 0.01, 0.001])
def test_the_units_needed_are_the_fewest_on_which_a_promise_can_hold(limit, counted):
    needed = units_needed(limit, counted=counted)
    assert doubt(Paired(np.zeros((1, needed)), signs=counted), limit) <= DOUBT
    assert doubt(Paired(np.zeros((1, needed - 1)), signs=counted), limit) > DOUBT


def test_a_limit_beyond_every_loss_is_promised_on_a_handful_of_units():
    assert doubt(Paired(np.ones((1, 20)), signs=True), 5.0) == 1.0
    assert units_needed(5.0, counted=True) < 20
