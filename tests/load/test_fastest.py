"""The search for the highest rate on a simulated queue, whose answer is known."""

import numpy as np
import pytest

from steelyard.errors import RequestInvalid
from steelyard.load import Ceiling, Plan, Way, fastest
from steelyard.load.summary import summarise
from steelyard.load.wire import Log

SERVICE = 0.01
STRONG = Ceiling(rate=1e5, per_core=1e5)
WAY = Way(target=None, messages=())


def queue(times):
    """Return when each request is answered by one worker that takes 10 ms for each, in their order."""
    free, done = 0.0, []
    for moment in times.tolist():
        free = max(free, moment) + SERVICE
        done.append(free)
    return done


@pytest.fixture
def late(monkeypatch):
    """Put a simulated queue in the place of a server; the list holds how late the generator is in each test."""
    lateness = []

    def simulated(_, plan):
        times = plan.arrivals()
        log = Log()
        log.plan(times.tolist())
        log.taken[:] = (times + (lateness.pop(0) if lateness else 0.0)).tolist()
        log.done[:], log.status[:] = queue(times), [200] * len(times)
        return summarise(log, plan, begin=plan.warm_up, mode="open")

    monkeypatch.setattr("steelyard.load.run.at_rate", simulated)
    monkeypatch.setattr("steelyard.load.run._REST", 0.0)
    return lateness


def p95_ms(rate):
    times = Plan(rate=rate, seconds=4000, warm_up=0, seed=9).arrivals()
    return float(np.quantile(np.array(queue(times)) - times, 0.95)) * 1e3


def test_the_search_finds_the_rate_at_which_the_queue_misses_the_target(late):
    told = []
    plan = Plan(rate=20, seconds=60, warm_up=1)
    found, result = fastest(WAY, plan, p95_ms=50, ceiling=STRONG, tell=told.append)
    assert p95_ms(found.rate.value * 0.93) < 50 < p95_ms(found.rate.value * 1.12)
    assert result.asked == found.rate.value
    assert len(told) == len(found.tests)


def test_a_test_in_which_the_generator_was_late_is_made_again_twice_at_most(late):
    late += [1.0, 1.0, 1.0, 1.0]
    told = []
    found, _ = fastest(WAY, Plan(rate=20, seconds=20), p95_ms=50, ceiling=STRONG, tell=told.append)
    assert [r.asked for r in told[:5]] == [20, 20, 20, 40, 40]
    assert len(told) == len(found.tests) + 3


def test_a_target_that_is_no_latency_is_refused(late):
    with pytest.raises(RequestInvalid, match="target of latency"):
        fastest(WAY, Plan(rate=20, seconds=1), p95_ms=-1, ceiling=STRONG, tell=print)
