"""Bundles called in turn: what is compared is compared on the same machine, minute by minute."""

import numpy as np
import pytest

from steelyard.measure import turns
from steelyard.measure.turns import LEAST, _ratio, _rounds


def drifting(base, rounds, random):
    """Times of two calls on a machine that doubles its speed half-way, with some slow moments."""
    pace = np.where(np.arange(rounds) < rounds / 2, 2.0, 1.0) * random.gamma(200, 1 / 200, rounds)
    return np.column_stack(
        [base * pace * random.gamma(100, 1 / 100, rounds), pace * random.gamma(100, 1 / 100, rounds)]
    )


@pytest.mark.parametrize("truth", [0.7, 1.0, 1.4])
def test_the_interval_holds_the_true_ratio_on_a_machine_that_changes_its_pace(truth):
    held = 0
    for seed in range(40):
        found = _ratio(drifting(truth, 200, np.random.default_rng(seed)), 0.5)
        held += found.low <= truth <= found.high
        assert found.value == pytest.approx(truth, rel=0.1)
    assert held >= 34


def test_each_round_begins_with_another_one_and_gives_all_the_same_row():
    seen = []
    calls = [lambda row, name=name: seen.append((name, row)) for name in "ab"]
    times = _rounds(calls, [{"x": 1}, {"x": 2}], end=float("inf"))
    assert times.shape[1] == 2
    assert len(times) >= LEAST
    assert [name for name, _ in seen[:4]] == ["a", "b", "b", "a"]
    assert [row["x"] for _, row in seen[:4]] == [1, 1, 2, 2]


def test_with_no_time_nothing_is_said(monkeypatch):
    monkeypatch.setattr(turns.bundles, "load", lambda *_, **__: type("B", (), {"answer_row": staticmethod(id)}))
    assert turns.in_turn("one", {"two": "two"}, [{}], seconds=-1.0) == {}
    assert set(turns.in_turn("one", {"two": "two"}, [{}])) == {"two"}
