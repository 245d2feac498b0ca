"""Dates and numbers in the notations of the world: found from the whole column, and read alike when predicting."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from steelyard.bundle.cells import RowReader
from steelyard.contracts import Kind, Schema
from steelyard.data import inspect, load, to_columns
from steelyard.data.dates import date_of
from steelyard.data.fast import measured, tidy
from steelyard.data.kinds import kind_of
from steelyard.data.numerals import is_ambiguous, notation_of, numeral_of
from steelyard.data.schema import schema_from_json, schema_to_json
from steelyard.errors import DataUnfit, RowsRefused

N = 120
ROWS = range(N)
DAY = 86_400.0
START = dt.datetime(2011, 1, 1, tzinfo=dt.UTC).timestamp()


def days(pattern):
    """Return 120 days from 1 January 2011 on, as a strftime pattern writes them."""
    first = dt.date(2011, 1, 1)
    return [(first + dt.timedelta(days=i)).strftime(pattern) for i in ROWS]


def plain(pattern):
    return [cell.replace("/0", "/").removeprefix("0") for cell in days(pattern)]


DATES = {
    "month first": plain("%m/%d/%Y"),
    "day first": plain("%d/%m/%Y"),
    "day first with hyphens": days("%d-%m-%Y"),
    "points": days("%d.%m.%Y"),
    "year first": days("%Y/%m/%d"),
    "iso": days("%Y-%m-%d"),
    "iso with zone": days("%Y-%m-%dT02:00:00+02:00"),
    "database": days("%Y-%m-%d 00:00:00+00"),
    "month by name": days("%d %b %Y"),
    "month by name first": days("%B %d, %Y"),
    "hyphens and names": days("%d-%b-%Y"),
    "mail": days("%a, %d %b %Y 00:00:00 GMT"),
    "half days": plain("%m/%d/%Y 12:00 AM"),
    "two digits of a year": days("%m/%d/%y"),
    "compact": days("%Y%m%d"),
    "chinese": days("%Y年%m月%d日"),
}


@pytest.mark.parametrize("case", DATES)
def test_a_date_is_read_however_it_is_written(spec, table, case):
    data = load(spec(table(N, when=DATES[case])))
    (column,) = [c for c in data.schema.columns if c.name == "when"]
    assert column.kind is Kind.TIME, column.why
    assert data.rows.columns["when"].tolist() == [START + DAY * i for i in ROWS]


@pytest.mark.parametrize("case", DATES)
def test_rows_and_frames_are_read_as_training_read_them(spec, table, case):
    data = load(spec(table(N, when=DATES[case])))
    schema = schema_from_json(schema_to_json(Schema(tuple(c for c in data.schema.columns if c.name == "when"))))
    trained = data.rows.columns["when"].tolist()
    assert to_columns({"when": DATES[case]}, schema)["when"].tolist() == trained
    assert to_columns(pl.DataFrame({"when": DATES[case]}), schema)["when"].tolist() == trained
    assert [RowReader(schema)({"when": cell})["when"] for cell in DATES[case]] == trained


def test_epoch_strings_and_numbers_under_a_name_of_time_are_times(spec, table):
    seconds = [START + 3600.0 * i + 7 for i in ROWS]
    for name, factor, notation in (("created_at", 1, ""), ("timestamp", 1000, "milliseconds")):
        for cells in ([f"{int(s * factor)}" for s in seconds], [int(s * factor) for s in seconds]):
            data = load(spec(table(N, **{name: cells})))
            column = next(c for c in data.schema.columns if c.name == name)
            assert (column.kind, column.notation) == (Kind.TIME, notation)
            assert data.rows.columns[name].tolist() == seconds
            assert [RowReader(Schema((column,)))({name: c})[name] for c in cells] == seconds
    assert kind_of("phone", tidy([str(1_325_376_000 + 7 * i) for i in ROWS])).kind is not Kind.TIME


FIVE = ["{m}/{d}/2011", "2011-0{m}-{d}", "{d}.{m}.2011", "2011-0{m}-{d}T00:00:00Z", "{d} March 2011"]


def test_a_date_in_five_formats_is_one_column_of_times_and_is_said(spec, table):
    cells = [FIVE[i % 5].format(m=3, d=13 + i % 15) for i in ROWS]
    data = load(spec(table(N, when=cells)))
    expected = [dt.datetime(2011, 3, 13 + i % 15, tzinfo=dt.UTC).timestamp() for i in ROWS]
    assert data.rows.columns["when"].tolist() == expected
    (found,) = [f for f in data.findings if f.code == "date_formats"]
    assert found.numbers["formats"] == 5
    assert "'3/13/2011', '2011-03-14', '15.3.2011'" in found.sentence


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([f"{1 + i % 12}/{1 + i % 11}/2011" for i in ROWS], "none says whether day or month comes first ('1/10/2011'"),
        (
            [f"{1 + i % 12}/13/2011" if i % 2 else f"13/{1 + i % 12}/2011" for i in ROWS],
            "some with the day first ('13/1/2011') and some with the month first ('10/13/2011')",
        ),
        (
            [f"2011-01-{1 + i % 28:02d}" if i % 10 else f"sometime {i}" for i in ROWS],
            "but 12 cells are none ('sometime",
        ),
    ],
)
def test_dates_that_cannot_be_told_are_pointed_out_and_never_guessed(spec, table, cells, said):
    seen = inspect(spec(table(N, when=cells)))
    assert next(c for c in seen.schema.columns if c.name == "when").kind is not Kind.TIME
    (found,) = [f for f in seen.findings if f.code == "almost_time"]
    assert said in found.sentence
    assert "write them year first, as in 2011-01-31" in found.sentence
    with pytest.raises(DataUnfit, match="'when' is given as time, but"):
        load(spec(table(N, when=cells), columns={"time": ["when"]}))


def test_a_split_by_time_reads_the_notation_of_its_column(spec, table):
    data = load(spec(table(N, when=DATES["month first"]), split={"time": "when"}))
    assert data.times.tolist() == [START + DAY * i for i in ROWS]


NUMBERS = {
    "english": ([f"{i * 37.5:,.1f}" for i in ROWS], "1,234.5"),
    "european": ([f"{i * 37.5:,.2f}".translate(str.maketrans(",.", ".,")) for i in ROWS], "1.234,5"),
    "decimal comma": ([f"{i * 37.5:.2f}".replace(".", ",") for i in ROWS], "1234,5"),
    "spaces": ([f"{i * 37.5:,.2f}".replace(",", " ").replace(".", ",") for i in ROWS], "1 234,5"),
    "narrow spaces": ([f"{i * 37.5:,.2f}".replace(",", "\u202f") for i in ROWS], "1 234.5"),
    "swiss": ([f"{i * 37.5:,.2f}".replace(",", "'") for i in ROWS], "1'234.5"),
    "dollars": ([f"${i * 37.5:,.2f}" for i in ROWS], "$1,234.5"),
    "euros": ([f"{i * 37.5:,.2f} €".translate(str.maketrans(",.", ".,")) for i in ROWS], "1.234,5 €"),
    "per cent": ([f"{i * 37.5}%" for i in ROWS], "1234.5%"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_is_read_however_it_is_written_in_training_and_in_rows(spec, table, case):
    cells, notation = NUMBERS[case]
    data = load(spec(table(N, price=cells)))
    column = next(c for c in data.schema.columns if c.name == "price")
    assert (column.kind, column.notation) == (Kind.NUMBER, notation)
    expected = [i * 37.5 for i in ROWS]
    assert data.rows.columns["price"].tolist() == expected
    assert to_columns({"price": cells}, Schema((column,)))["price"].tolist() == expected
    assert [RowReader(Schema((column,)))({"price": c})["price"] for c in cells] == expected
    assert RowReader(Schema((column,)))({"price": 12.5}) == {"price": 12.5}
    (found,) = [f for f in data.findings if f.code == "notation"]
    assert f"written like {notation}" in found.sentence


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("leading zeros", [f"0{1000 + i % 9}" for i in ROWS]),
        ("telephone", [f"555 {100 + i % 40} 456" for i in ROWS]),
        ("two currencies", [f"{'$' if i % 2 else '€'}{i % 50}" for i in ROWS]),
        ("shares and per cent", [f"{i % 50}%" if i % 2 else f"0.{i % 50}" for i in ROWS]),
        ("versions", [f"1.{i % 9}.0" for i in ROWS]),
        ("ranges", [f"{i % 9}-{i % 9 + 10}" for i in ROWS]),
    ],
)
def test_what_only_looks_like_numbers_stays_a_name(name, cells):
    assert kind_of(name, tidy(cells)).kind is Kind.CATEGORY


def test_thousands_that_might_be_decimals_are_said():
    found = kind_of("x", tidy([f"{i},{100 + i}" for i in range(1, N)]))
    assert found.notation == "1,234.5"
    assert "'1,101' counts thousands" in found.findings[0].sentence
    assert not is_ambiguous(["1,234.5"], "1,234.5")


def test_another_currency_or_notation_is_refused_when_predicting():
    column = kind_of("x", tidy(NUMBERS["euros"][0]))
    assert numeral_of("5 $", column.notation) is None
    schema = schema_from_json([{"name": "x", "kind": "number", "notation": column.notation}])
    for cell in ("$5", "12.5", "five"):
        with pytest.raises(RowsRefused, match=r"not a number or like 1\.234,5 €"):
            RowReader(schema)({"x": cell})


WIDE = [f"{i * 1.5}" for i in range(N - 3)] + ["about thirty, she was not quite sure of it herself", "unknown", "x"]


def test_a_few_words_among_numbers_count_as_missing_here_and_when_predicting(spec, table):
    data = load(spec(table(N, years=WIDE)))
    column = next(c for c in data.schema.columns if c.name == "years")
    assert (column.kind, column.lenient) == (Kind.NUMBER, True)
    trained = data.rows.columns["years"]
    assert np.isnan(trained[-3:]).all()
    assert trained[:-3].tolist() == [i * 1.5 for i in range(N - 3)]
    np.testing.assert_array_equal(to_columns({"years": WIDE}, Schema((column,)))["years"], trained)
    assert math.isnan(RowReader(Schema((column,)))({"years": "fifty or so"})["years"])
    (found,) = [f for f in data.findings if f.code == "almost_number"]
    assert "'about thirty, she was not quite sure ...' in row 117 (from 0), 'unknown', 'x'" in found.sentence


def test_more_than_a_few_words_make_no_number_and_a_given_number_stops(spec, table):
    cells = [f"{i * 1.5}" if i % 10 else f"word {i}" for i in ROWS]
    assert kind_of("x", tidy(cells)).kind is not Kind.NUMBER
    with pytest.raises(DataUnfit, match=r"'x' is given as number, but 12 cells are not a number"):
        load(spec(table(N, x=cells), columns={"number": ["x"]}))


def test_codes_with_a_letter_among_them_stay_codes():
    found = kind_of("grade", tidy([str(i % 5) for i in ROWS] + ["X"]))
    assert found.kind is Kind.CATEGORY
    assert "the others are few whole numbers" in found.findings[0].sentence


def test_a_column_is_strict_where_all_of_training_was_numbers(spec, table):
    column = next(c for c in load(spec(table(N))).schema.columns if c.name == "age")
    assert not column.lenient
    with pytest.raises(RowsRefused, match="'fifty or so', which is not a number"):
        RowReader(Schema((column,)))({"age": "fifty or so"})


TRICKY = [
    "2011-01-31",
    "2011-02-30",
    "0000-01-01",
    "2011-01-31 24:00:00",
    "2011-01-31T08:30:59",
    " 2011-01-31",
    "2011-1-3",
]


@pytest.mark.parametrize("notation", ["", "day/month/year", "month/day/year", "yyyymmdd"])
def test_the_fast_path_of_dates_reads_as_the_plain_one(notation):
    cells = [*TRICKY, *(c for several in DATES.values() for c in several[:40]), "", "NA", "word", None]
    values, bad = measured(Kind.TIME, tidy(cells), notation)
    slow, slow_bad = measured(Kind.TIME, np.array(cells, dtype=object), notation)
    np.testing.assert_array_equal(values, slow)
    np.testing.assert_array_equal(bad, slow_bad)
    assert 0 < bad.sum() < len(cells)


@pytest.mark.parametrize(
    "text", ["31/1/2011", "2011-02-30", "1 Foo 2011", "2011-01-31-05", "13:00 PM", "may 2011", "12-31"]
)
def test_what_does_not_say_its_day_is_no_date(text):
    assert date_of(text) is None


@pytest.mark.parametrize("cells", [["1e3", "2,5"], ["$5", "5€"], ["1,2,3"], ["1.234.56", "7"], ["--5", "1,5"]])
def test_numbers_without_one_notation_have_none(cells):
    assert notation_of(cells) is None
