"""Lines before several servers: formulas against tables, against each other, and against a simulation."""

import math

import numpy as np
import pytest

from steelyard.money.queueing import Wait, erlang_c, ggc, mdc, mmc
from steelyard.money.simulation import one_line, poisson


@pytest.mark.parametrize(
    ("servers", "load", "chance"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (100, 90.0, 0.2170)],
)
def test_erlang_c_is_that_of_the_tables(servers, load, chance):
    assert erlang_c(servers, load) == pytest.approx(chance, abs=2e-4)


def test_erlang_c_stays_finite_for_thousands_of_servers():
    assert 0 < erlang_c(5000, 4950.0) < 1


def test_one_server_waits_as_pollaczek_and_khinchine_say():
    assert mmc(0.8, 1.0, 1).mean == pytest.approx(4.0)
    assert mdc(0.8, 1.0, 1).mean == pytest.approx(2.0)
    assert ggc(0.8, 1.0, 1, services=3.0).mean == pytest.approx(8.0)


def test_what_cannot_be_served_waits_for_ever():
    assert math.isinf(mmc(2.0, 1.0, 2).mean)
    assert math.isinf(mdc(3.0, 1.0, 2).quantile(0.5))


def test_nobody_waits_where_nobody_comes():
    assert mdc(0.0, 1.0, 3) == Wait(0.0, 0.0)
    assert mmc(0.0, 1.0, 3).quantile(0.95) == 0.0


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.7), (4, 0.8), (16, 0.8)])
def test_exponential_services_wait_as_simulated(servers, busy):
    found = mmc(busy * servers, 1.0, servers)
    seen = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        waits = one_line(poisson(busy * servers, 80_000, rng), rng.exponential(size=80_000), servers)[5000:]
        seen.append((waits.mean(), np.quantile(waits, 0.95)))
    assert np.mean(seen, axis=0) == pytest.approx([found.mean, found.quantile(0.95)], rel=0.08)


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.7), (4, 0.8), (16, 0.9), (8, 0.3)])
def test_equal_services_wait_as_simulated(servers, busy):
    rng = np.random.default_rng(0)
    waits = one_line(poisson(busy * servers, 150_000, rng), np.ones(150_000), servers)[5000:]
    found = mdc(busy * servers, 1.0, servers)
    assert waits.mean() == pytest.approx(found.mean, rel=0.08, abs=0.002)
    assert found.mean <= servers / (servers + 1) * mmc(busy * servers, 1.0, servers).mean + 1e-12


def test_allen_and_cunneen_lie_near_a_simulation_of_uneven_services():
    rng, shape = np.random.default_rng(0), 0.5  # squared coefficient of variation 2
    waits = one_line(poisson(3.2, 200_000, rng), rng.gamma(shape, 1 / shape, 200_000), 4)[5000:]
    assert waits.mean() == pytest.approx(ggc(3.2, 1.0, 4, services=2.0).mean, rel=0.1)


@pytest.mark.parametrize(("servers", "load"), [(0, 1.0), (1, -1.0), (1, math.nan)])
def test_queues_without_servers_or_with_no_load_are_refused(servers, load):
    with pytest.raises(ValueError, match="a queue needs a server"):
        erlang_c(servers, load)


def test_negative_variation_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        ggc(0.5, 1.0, 1, services=-0.1)
