"""The refit at the end: tried where it may succeed, never taken where it was cut short."""

from types import SimpleNamespace

import pytest

from steelyard.contracts import Ending, Trial
from steelyard.recipe import Train, digest
from steelyard.search import finish
from steelyard.search.allowance import SHIPPING
from steelyard.search.finish import BRIEF, HOPE, SOON
from steelyard.units import Seconds

NEEDED = 10.0
TRIAL = Trial(number=0, recipe=Train(learner="linear"), lever="start", ending=Ending.MEASURED, validation={})


@pytest.fixture
def ending(monkeypatch):
    """What a refit leads to, with so many seconds left, where the worker comes back with ``left``."""
    tried = []
    part = SimpleNamespace(name="holdout", fit=range(800))

    def of(remaining, left, problem="", needed=NEEDED):
        tried.clear()
        monkeypatch.setattr(finish, "rounds_of", lambda *_: ())
        monkeypatch.setattr(finish, "replace", lambda job, **_: job)
        finished = SimpleNamespace(left=left, seconds=3.0, problem=problem)
        monkeypatch.setattr(finish, "send", lambda *_: tried.append(True) or finished)
        loop = SimpleNamespace(
            allowance=SimpleNamespace(remaining=lambda: Seconds(remaining), refit_seconds=lambda _: needed),
            history=SimpleNamespace(trials={0: TRIAL}),
            journal=SimpleNamespace(interrupted=False),
            watcher=SimpleNamespace(phase=lambda _: None),
            dataset=SimpleNamespace(partition=SimpleNamespace(parts=[part])),
            job=lambda *_: None,
            store=None,
            executor=None,
            tick=None,
        )
        bundle, _, notes, _ = finish._refit(loop, TRIAL)
        return bundle, notes, bool(tried)

    return of


@pytest.mark.parametrize(("share", "tried"), [(HOPE * 1.01, True), (HOPE * 0.99, False)])
def test_a_refit_is_tried_while_it_may_end_in_time(ending, share, tried):
    bundle, notes, was = ending(SHIPPING + NEEDED * share, {"bundle": "x.all", "notes": []})
    assert was is tried
    assert bundle == ("x.all" if tried else f"{digest(TRIAL.recipe)}/holdout")
    assert bool(notes) is not tried


@pytest.mark.parametrize(("remaining", "tried"), [(SHIPPING, True), (SOON + 0.2, True), (SOON, False)])
def test_a_brief_refit_is_made_with_what_little_is_left(ending, remaining, tried):
    assert ending(remaining, {"bundle": "x.all", "notes": []}, needed=BRIEF / 2)[2] is tried


def test_a_longer_refit_is_not_made_at_the_expense_of_what_follows(ending):
    assert not ending(SHIPPING, {"bundle": "x.all", "notes": []}, needed=3 * BRIEF)[2]


def test_a_refit_that_ends_late_is_not_taken_and_the_reason_is_said(ending):
    bundle, notes, was = ending(60.0, None, problem="it was cut short after 3 of 9 rounds")
    assert (was, bundle) == (True, f"{digest(TRIAL.recipe)}/holdout")
    assert "3 of 9 rounds" in notes[0]
    assert "trained on 800 rows, ships as it was measured" in notes[0]
