"""What a learner must keep that trains in rounds, and when it must stop. Run by :func:`check_learner`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steelyard.testing.pupils import Pupil, Watch


def check_rounds_are_what_is_honoured(pupil: Pupil) -> None:
    """See that the rounds of a training are told by learners that honour them, and by no others."""
    rounds = pupil.fitted.rounds
    if pupil.rounds:
        assert isinstance(rounds, int), f"it honours rounds and says that it took {rounds!r}"
        assert rounds >= 1, f"it says that it took {rounds} rounds"
    else:
        assert rounds is None, f"it took {rounds} rounds, and `honours` lacks 'rounds': a refit could not repeat them"


def check_fixed_rounds_are_repeated(pupil: Pupil) -> None:
    """See that a plan with fixed rounds takes exactly so many, with validation rows or without."""
    plan = replace(pupil.plan, rounds=2)
    for alone in (True, False):
        rounds = pupil.fit(plan, alone=alone).rounds
        assert rounds == 2, f"2 rounds were asked for, {rounds} were taken"


def check_it_stops_when_the_meter_says_so(pupil: Pupil) -> None:
    """See that it reports rising steps, and nothing more once the meter has said stop; what it has is usable."""
    steps = [step for step, _ in pupil.watch.reports]
    assert steps, "it honours rounds and reports none, so nothing could stop it early"
    assert steps == sorted(set(steps)), f"the steps it reports do not rise: {steps}"
    told = Watch(stop_at=1)
    scores = pupil.fit(watch=told).scores(pupil.few)
    assert len(told.reports) == 1, f"it was told to stop at once and went on for {len(told.reports) - 1} reports"
    assert np.isfinite(scores).all(), "a training that was stopped gives scores that are not finite"


def check_it_stops_when_time_is_up(pupil: Pupil) -> None:
    """See that a training without time left takes fewer rounds, says so in a note, and is usable."""
    late = Watch(seconds=0.0)
    usual = pupil.fitted.rounds or 0
    fitted = pupil.fit(watch=late)
    assert usual <= 1 or (fitted.rounds or 0) < usual, f"no time was left, and it took all {usual} rounds"
    assert usual <= 1 or late.notes, "it was cut short without a note"
    assert np.isfinite(fitted.scores(pupil.few)).all(), "a training cut short gives scores that are not finite"
