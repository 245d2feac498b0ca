"""Bar 6: whatever a ledger holds, every cut of it sums to its total, exactly and as it is shown."""

import csv
import io
import json
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.money import EntryKind, Ledger, Price, Prices, compute_entry, note_entry
from steelyard.money.export import COLUMNS, as_csv, lines, write_parquet
from steelyard.money.ledger import EXACT, Entry, entry
from steelyard.money.shares import BYS, RUN, parts, places_for, shown, table
from steelyard.units import How, Money, Seconds

PRICED = [kind for kind in EntryKind if kind is not EntryKind.NOTE]
PRICE = st.decimals("0", "1000000", places=12, allow_nan=False).map(lambda d: Price(Money(d), "unit", "us"))
QUANTITY = st.decimals("0", "1000000000", places=6, allow_nan=False)
LEVERS = {0: "start", 1: "tune", 2: "tune", 3: "quantise", 4: "ensemble"}


@st.composite
def ledgers(draw):
    ledger = Ledger("USD")
    for _ in range(draw(st.integers(0, 12))):
        trial, quantity = draw(st.none() | st.integers(0, 5)), draw(QUANTITY)
        ends = draw(st.none() | st.tuples(st.just(quantity / 2), st.just(quantity * 2)))
        kind = draw(st.sampled_from(PRICED))
        ledger.append(entry(kind, "something", quantity, draw(PRICE), trial=trial, ends=ends, how=How.ESTIMATED))
    if draw(st.booleans()):
        ledger.append(note_entry("a fallback", Prices.load(), trial=1))
    return ledger


def exact_sum(amounts):
    with localcontext(EXACT):
        return sum(amounts, start=Decimal(0))


@settings(max_examples=60)
@given(ledgers(), st.sampled_from(BYS))
def test_the_parts_of_every_cut_sum_to_the_total_exactly(ledger, by):
    found = parts(ledger, by, LEVERS)
    assert exact_sum(p.amount.amount for p in found) == ledger.total.amount
    assert exact_sum(p.low.amount for p in found) <= ledger.total.amount <= exact_sum(p.high.amount for p in found)
    assert exact_sum(e.amount.amount for e in ledger) == ledger.total.amount
    assert sum(p.lines for p in found) == sum(by != "kind" or e.kind is not EntryKind.NOTE for e in ledger)


@settings(max_examples=60)
@given(ledgers(), st.sampled_from(BYS))
def test_what_is_shown_sums_to_the_total_that_is_shown_and_none_is_off_by_a_last_digit(ledger, by):
    told = json.loads(json.dumps(table(ledger, by, LEVERS)))
    rows = [Decimal(part["shown"]) for part in told["parts"]]
    assert exact_sum(rows) == Decimal(told["shown"])
    places = places_for([Decimal(part["amount"]) for part in told["parts"]])
    unit = Decimal(1).scaleb(-places)
    assert all(abs(Decimal(p["shown"]) - Decimal(p["amount"])) < unit for p in told["parts"])
    assert abs(Decimal(told["shown"]) - Decimal(told["total"])) <= unit / 2
    assert exact_sum(Decimal(p["amount"]) for p in told["parts"]) == Decimal(told["total"])


@settings(max_examples=60)
@given(ledgers())
def test_the_balance_is_what_was_spent_less_what_was_returned(ledger):
    with localcontext(EXACT):
        assert ledger.spent.amount - ledger.returned.amount == ledger.total.amount
        assert exact_sum(m.amount for m in ledger.totals().values()) == ledger.total.amount
    assert ledger.spent.amount >= 0
    assert ledger.returned.amount >= 0


@settings(max_examples=60)
@given(ledgers())
def test_every_line_is_its_quantity_at_its_price_and_survives_json(ledger):
    for line in ledger:
        with localcontext(EXACT):
            assert line.unit_price.amount * line.quantity == line.amount.amount
        assert Entry.from_json(json.loads(json.dumps(line.to_json()))) == line


@settings(max_examples=60)
@given(ledgers())
def test_the_csv_holds_every_digit(ledger):
    rows = list(csv.DictReader(io.StringIO(as_csv(lines(ledger, LEVERS)))))
    assert len(rows) == len(ledger)
    assert exact_sum(Decimal(row["amount"]) for row in rows) == ledger.total.amount
    for row, line in zip(rows, ledger, strict=True):
        assert row.keys() == set(COLUMNS)
        assert (row["kind"], row["currency"]) == (line.kind.value, "USD")
        assert row["trial"] == ("" if line.trial is None else str(line.trial))


def of(*amounts, kind=EntryKind.COMPUTE):
    price = Price(Money(Decimal(1)), "unit", "us")
    ledger = Ledger("USD")
    for trial, amount in enumerate(amounts):
        ledger.append(entry(kind, f"trial {trial}", Decimal(amount), price, trial=trial))
    return ledger


def test_trials_share_the_lever_that_led_to_them_and_the_rest_is_the_run_s():
    ledger = of("1", "2", "4")
    ledger.append(compute_entry("weighing", Seconds(3600), Prices.load()))
    found = {part.name: part for part in parts(ledger, "lever", LEVERS)}
    assert {name: part.amount.amount for name, part in found.items()} == {
        "start": Decimal(1),
        "tune": Decimal(6),
        RUN: Decimal("0.0504"),
    }
    assert found["tune"].trials == (1, 2)
    assert [part.name for part in parts(ledger, "trial", LEVERS)] == ["trial 0", "trial 1", "trial 2", RUN]


def test_three_thirds_are_shown_as_one():
    assert [str(d) for d in shown([Decimal(1) / 3] * 3, 2)] == ["0.34", "0.33", "0.33"]
    assert [str(d) for d in shown([Decimal("-0.335"), Decimal("0.33")], 2)] == ["-0.33", "0.33"]
    assert shown([], 2) == []


def test_an_empty_ledger_is_nothing_spent():
    told = table(Ledger("EUR"), "lever", {})
    assert (told["parts"], told["total"], told["currency"]) == ([], "0", "EUR")
    assert as_csv([]).count("\n") == 1


def test_what_was_returned_is_a_cost_below_zero():
    line = entry(EntryKind.VALUE, "frauds stopped", Decimal(8), Price(Money.parse("0.25 USD"), "decision", "us"))
    ledger = Ledger.of([line], "USD")
    assert (ledger.total.amount, ledger.returned.amount, ledger.spent.amount) == (Decimal(-2), Decimal(2), Decimal(0))


def test_a_line_that_does_not_add_up_is_refused():
    line = compute_entry("fit", Seconds(3600), Prices.load())
    from dataclasses import replace

    with pytest.raises(ValueError, match="does not come to"):
        Ledger("USD").append(replace(line, amount=Money(Decimal(1))))


@pytest.mark.parametrize("ends", [("3", "2"), ("1.5", "2"), ("-1", "2"), ("0", "NaN"), ("0", "inf")])
def test_a_range_that_makes_no_sense_is_refused(ends):
    price = Price(Money(Decimal(1)), "kWh", "us")
    with pytest.raises(ValueError, match=r"swap its ends|cannot be priced"):
        entry(EntryKind.ENERGY, "energy", Decimal(1), price, ends=(Decimal(ends[0]), Decimal(ends[1])))


def test_a_spreadsheet_takes_no_text_for_a_formula():
    price = Price(Money(Decimal(1)), "unit", "us")
    written = as_csv(lines([entry(EntryKind.COMPUTE, "=1+1", Decimal(1), price)], {}))
    assert next(csv.DictReader(io.StringIO(written)))["what"] == "'=1+1"


def test_parquet_holds_every_digit(tmp_path):
    polars = pytest.importorskip("polars")
    ledger = of("0.000001", "123456789.123456")
    price = Price(Money(Decimal("0.000000000001")), "unit", "us")
    ledger.append(entry(EntryKind.ENERGY, "e", Decimal("0.5"), price, ends=(Decimal("0.1"), Decimal(1))))
    ledger.append(entry(EntryKind.VALUE, "returned", Decimal("0.333333"), price))
    write_parquet(lines(ledger, LEVERS), tmp_path / "ledger.parquet")
    frame = polars.read_parquet(tmp_path / "ledger.parquet")
    assert frame.columns == list(COLUMNS)
    assert frame["amount"].to_list() == [line.amount.amount for line in ledger]
    assert frame["low"].to_list() == [line.low for line in ledger]
    assert frame["trial"].to_list() == [0, 1, None, None]
    assert frame["lever"].to_list() == ["start", "tune", None, None]


def test_parquet_of_no_lines_and_to_no_place(tmp_path):
    polars = pytest.importorskip("polars")
    write_parquet([], tmp_path / "empty.parquet")
    assert polars.read_parquet(tmp_path / "empty.parquet").columns == list(COLUMNS)
    from steelyard.errors import RunUnwritable

    with pytest.raises(RunUnwritable, match="name another file"):
        write_parquet([], tmp_path / "none" / "a.parquet")
