"""Quality and size of permanent scenarios against the committed baseline; no clocks."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scenarios import SCENARIOS, Reached, baseline, complaint, measure


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quality")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_is_as_good_and_as_small_as_it_was(name, folder):
    scenario = SCENARIOS[name]
    assert complaint(scenario, measure(scenario, folder), baseline()[name]) == ""


def test_every_scenario_has_a_baseline_and_none_is_left_behind():
    assert sorted(baseline()) == sorted(SCENARIOS)


@pytest.mark.parametrize(("value", "size", "word"), [(0.2, 1000, "went from"), (0.1, 1200, "bytes"), (0.11, 1090, "")])
def test_what_is_worse_or_larger_than_promised_is_noticed(value, size, word):
    scenario = replace(SCENARIOS["cancer-linear"], worse=0.02)
    assert word in complaint(scenario, Reached(value, size), Reached(0.1, 1000))
    assert bool(complaint(scenario, Reached(value, size), Reached(0.1, 1000))) is bool(word)
