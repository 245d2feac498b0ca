"""The ledger: append-only, exact, and in one currency."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.money import (
    Entry,
    EntryKind,
    Ledger,
    Price,
    Prices,
    PricesInvalid,
    compute_entry,
    label_entry,
    note_entry,
)
from steelyard.units import Money, Seconds


def with_labels():
    return Prices(core_hour=Prices.load().core_hour, label=Price(Money(Decimal("0.07")), "label", "us"))


def test_compute_is_core_hours_times_their_price():
    entry = compute_entry("trial 3", Seconds(1800), Prices.load(), trial=3)
    assert (entry.kind, entry.quantity, entry.unit) == (EntryKind.COMPUTE, Decimal("0.500000"), "core-hour")
    assert entry.amount == Money(Decimal("0.0252000000"))
    assert "m7i.large" in entry.source


def test_labels_cost_what_the_user_says():
    assert label_entry("batch 1", 200, with_labels()).amount == Money(Decimal("14.00"))
    with pytest.raises(PricesInvalid):
        label_entry("batch 1", 200, Prices.load())


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_the_total_is_exactly_the_sum_of_the_lines_and_of_the_kinds(seconds):
    prices = with_labels()
    entries = [compute_entry(f"trial {k}", Seconds(s), prices, trial=k) for k, s in enumerate(seconds)]
    entries.append(label_entry("labels", 3, prices))
    ledger = Ledger.of(entries, "USD")
    assert ledger.total.amount == sum(Decimal(e.to_json()["amount"].split()[0]) for e in entries)
    assert ledger.total == sum(ledger.totals().values(), start=Money(Decimal(0)))


def test_a_trial_costs_the_sum_of_its_lines():
    prices = Prices.load()
    lines = [
        compute_entry("fit", Seconds(3600), prices, trial=1),
        compute_entry("weigh", Seconds(3600), prices, trial=1),
    ]
    ledger = Ledger.of([*lines, compute_entry("fit", Seconds(3600), prices, trial=2)], "USD")
    assert ledger.of_trial(1) == Money(Decimal("0.1008"))


@given(st.floats(0, 1e6))
def test_every_amount_is_the_quantity_shown_times_the_unit_price_shown(seconds):
    entry = compute_entry("trial", Seconds(seconds), Prices.load())
    assert entry.amount.amount == entry.quantity * entry.unit_price.amount


def test_another_currency_is_refused():
    entry = compute_entry("trial 1", Seconds(1), Prices.load())
    with pytest.raises(ValueError, match="cannot be added to a ledger in EUR"):
        Ledger("EUR").append(entry)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_time_that_makes_no_sense_is_refused(seconds):
    with pytest.raises(ValueError, match="cannot be priced"):
        compute_entry("trial 1", Seconds(seconds), Prices.load())


def test_a_note_costs_nothing_and_is_left_out_of_the_totals():
    ledger = Ledger.of([note_entry("fell back to 1 thread", Prices.load(), trial=4)], "USD")
    assert ledger.total == Money(Decimal(0))
    assert ledger.totals().keys() == {"compute", "labels"}
    assert len(ledger) == 1


@given(st.floats(0, 1e9), st.none() | st.integers(0, 99))
def test_a_line_survives_the_way_through_json(seconds, trial):
    entry = compute_entry("trial", Seconds(seconds), Prices.load(), trial=trial)
    assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry


def test_what_is_iterated_is_a_snapshot():
    ledger = Ledger("USD")
    ledger.append(note_entry("a", Prices.load()))
    for _ in ledger:
        ledger.append(note_entry("b", Prices.load()))
    assert [e.what for e in ledger] == ["a", "b"]
