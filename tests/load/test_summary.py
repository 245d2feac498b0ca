"""Figures of logs that are written by hand."""

import math

import pytest

from steelyard.load import Plan
from steelyard.load.summary import summarise
from steelyard.load.wire import LOST, TIMED_OUT, Log
from steelyard.units import Seconds


def log_of(*requests):
    log = Log()
    log.plan([planned for planned, *_ in requests])
    log.taken[:] = [taken for _, taken, *_ in requests]
    log.done[:] = [done for *_, done, _ in requests]
    log.status[:] = [status for *_, status in requests]
    return log


def test_latency_counts_from_the_planned_time_and_the_warm_up_is_left_out():
    log = log_of((99.5, 99.5, 101.0, 200), (100.0, 100.1, 100.25, 200), (101.0, 101.0, 101.5, 204))
    result = summarise(log, Plan(rate=1, seconds=2, warm_up=1), begin=100.0, mode="open")
    assert result.requests == 2
    assert result.latency["p50"].value == pytest.approx(250)
    assert result.latency["p99"].value == pytest.approx(500)
    assert result.late == pytest.approx(100)
    assert result.rate == 1.5  # answers that came while counting, that of the warm-up included
    assert result.endings == {"204": 1, "200": 1}


def test_failures_are_infinitely_late_and_told_apart():
    log = log_of(
        (0.0, 0.0, 0.1, 200),
        (0.1, 0.1, 0.2, 503),
        (0.2, 0.2, 0.9, TIMED_OUT),
        (0.3, 0.3, 0.4, LOST),
        (0.4, 0.4, 0.5, 302),
    )
    result = summarise(log, Plan(rate=5, seconds=1, warm_up=0), begin=0.0, mode="open", server=Seconds(0.5), own=0.25)
    assert result.endings == {"503": 1, "302": 1, "200": 1, "timed out": 1, "connection lost": 1}
    assert (result.failed, result.timeouts, result.rate) == (4, 1, 1.0)
    assert result.latency["p50"].value == math.inf
    assert result.answered["p99"].value == pytest.approx(100)
    assert result.server_cpu.value == pytest.approx(100)  # 0.5 s over five requests, in ms
    assert result.own_share == 0.25
