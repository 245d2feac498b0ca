"""Planned times are a Poisson process, the same for the same seed."""

import numpy as np
import pytest

from steelyard.errors import Exit, RequestInvalid
from steelyard.load import Plan


def test_times_are_planned_ahead_ascending_and_repeatable():
    plan = Plan(rate=200, seconds=10, warm_up=1, seed=3)
    times = plan.arrivals()
    assert (np.diff(times) >= 0).all()
    assert 0 <= times[0] < times[-1] <= plan.length == 11
    assert (times == plan.arrivals()).all()
    other = Plan(rate=200, seconds=10, warm_up=1, seed=4).arrivals()
    assert len(other) != len(times) or (other != times).any()


def test_gaps_are_exponential_and_counts_in_windows_vary_as_their_mean():
    gaps = np.diff(Plan(rate=50, seconds=2000, warm_up=0).arrivals())
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.02)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    counts = np.histogram(Plan(rate=50, seconds=2000, warm_up=0, seed=1).arrivals(), 2000, (0, 2000))[0]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate": 0, "seconds": 1}, "rate must be a finite number above 0"),
        ({"rate": float("nan"), "seconds": 1}, "rate must be a finite number above 0"),
        ({"rate": 1, "seconds": -1}, "seconds must be"),
        ({"rate": 1, "seconds": 1, "warm_up": -1}, "warm-up"),
        ({"rate": 1e9, "seconds": 1}, "test for a shorter time"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(settings, said):
    with pytest.raises(RequestInvalid, match=said) as refused:
        Plan(**settings)
    assert refused.value.exit_code is Exit.USAGE
