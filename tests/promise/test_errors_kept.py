"""The promise about rows that are kept from a person: kept at its confidence, refused where rows are too few."""

import numpy as np
import pytest

from steelyard.promise import DOUBT, PLACES, boldest_kept, rows_kept_needed

LIMIT = 0.04


def world(random, rows, *, dip=False):
    """Return sureness and wrongness; the chance of an error falls with sureness (in one world not everywhere)."""
    sure = random.beta(2.0, 1.0, size=rows)
    return sure, random.random(rows) < chance(sure, dip=dip)


def chance(sure, *, dip):
    chances = 0.3 * (1 - sure) ** 1.5
    return np.where((sure > 0.6) & (sure < 0.7), 0.12, chances) if dip else chances


def truth(*, dip):
    """Return the rate of errors among the kept rows, by place, to three digits or better."""
    sure, _ = world(np.random.default_rng(0), 400_000)
    chances = chance(sure, dip=dip)
    return {float(place): float(chances[sure >= place].mean()) for place in PLACES if (sure >= place).any()}


@pytest.mark.parametrize("dip", [False, True])
@pytest.mark.parametrize("most", [DOUBT, 0.2])
def test_the_rate_of_errors_is_over_the_limit_no_more_often_than_the_doubt(random, dip, most):
    rates, draws, broken, found = truth(dip=dip), 600, 0, 0
    for _ in range(draws):
        place = boldest_kept(*world(random, 700, dip=dip), LIMIT, most=most)
        found += place is not None
        broken += place is not None and rates[place] > LIMIT
    assert found > 0.6 * draws
    assert broken / draws <= most + 3 * np.sqrt(most * (1 - most) / draws)


def test_a_rule_that_trusts_the_rows_seen_breaks_the_promise_far_more_often(random):
    rates, draws, broken = truth(dip=False), 200, 0
    for _ in range(draws):
        sure, wrong = world(random, 700)
        bold = [place for place in PLACES if (sure >= place).any() and wrong[sure >= place].mean() <= LIMIT]
        broken += rates[float(bold[-1])] > LIMIT
    assert broken / draws > 3 * DOUBT


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.2])
def test_the_rows_that_are_needed_are_enough_and_no_fewer_are(limit):
    needed = rows_kept_needed(limit)
    right = np.zeros(needed, bool)
    assert boldest_kept(np.full(needed, 0.99), right, limit) == PLACES[-1]
    assert boldest_kept(np.full(needed - 1, 0.99), right[1:], limit) is None


def test_one_error_among_the_surest_rows_does_not_end_everything():
    sure = np.linspace(0.3, 1.0, 4000)
    wrong = np.zeros(4000, bool)
    wrong[-3:] = True
    assert boldest_kept(sure, wrong, 0.02) == PLACES[-1]
