"""A meter says stop at the deadline or at a hurdle, and keeps what it was told."""

import math

from steelyard.search.meter import PART_STEP, JobMeter
from steelyard.units import Seconds


def test_without_deadline_and_hurdles_it_always_goes_on():
    meter = JobMeter(Seconds(math.inf))
    assert meter.report(1, 0.5)
    assert meter.part_done(0.5)
    assert meter.curve == [(1, 0.5), (PART_STEP + 1, 0.5)]


def test_the_best_value_so_far_is_held_against_the_hurdle():
    meter = JobMeter(Seconds(math.inf), {1: 0.4, 2: 0.6, 3: 0.9})
    assert meter.report(1, 0.7)
    assert meter.report(2, 0.3)
    assert not meter.report(3, 0.8)
    assert meter.pruned
    assert not meter.late


def test_a_passed_deadline_stops_and_is_not_called_pruned():
    meter = JobMeter(Seconds(0.0))
    assert not meter.report(1, 0.7)
    assert meter.late
    assert not meter.pruned


def test_only_the_first_part_draws_the_curve_of_rounds():
    meter = JobMeter(Seconds(math.inf))
    meter.report(1, 0.5)
    meter.part_done(0.6)
    meter.report(1, 0.1)
    meter.part_done(0.8)
    assert meter.curve == [(1, 0.5), (PART_STEP + 1, 0.6), (PART_STEP + 2, 0.7)]


def test_what_is_not_a_number_is_neither_kept_nor_judged():
    meter = JobMeter(Seconds(math.inf), {1: 0.4})
    assert meter.report(1, math.nan)
    assert meter.curve == []


def test_a_sentence_is_noted_once():
    meter = JobMeter(Seconds(1))
    meter.note("capped")
    meter.note("capped")
    assert meter.notes == ["capped"]


def test_each_training_of_a_job_has_a_place_of_its_own_the_same_in_every_attempt(tmp_path):
    first, again = (JobMeter(Seconds(1), places=tmp_path) for _ in range(2))
    places = [first.place(), first.place()]
    assert len(set(places)) == 2
    assert [again.place(), again.place()] == places
    assert JobMeter(Seconds(1)).place() is None


def test_losses_of_the_first_part_are_shown_and_those_that_are_numbers():
    shown = []
    meter = JobMeter(Seconds(1), show=lambda *said: shown.append(said))
    meter.show(1, 0.5)
    meter.show(2, math.nan)
    meter.part_done(0.5)
    meter.show(1, 0.4)
    assert shown == [(1, 0.5)]
    JobMeter(Seconds(1)).show(1, 0.5)
