import datetime as dt
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from steelyard.bundle.cells import RowReader
from steelyard.contracts import Column, Kind, Schema
from steelyard.data import extras, row_to_columns, to_columns
from steelyard.data.coerce import BLANKS, NotThisKind, category_of, number_of, text_of, time_of
from steelyard.data.fast import categories, measured, texts, tidy
from steelyard.errors import RowsRefused

SCHEMA = Schema(
    (
        Column(name="row", kind=Kind.ID),
        Column(name="age", kind=Kind.NUMBER),
        Column(name="city", kind=Kind.CATEGORY),
        Column(name="note", kind=Kind.TEXT),
        Column(name="when", kind=Kind.TIME),
    )
)
AGES, CITIES = [31.0, None, 40.0], ["Oslo", None, "Bonn"]
NOTES, DAYS = ["a b", "", "c"], ["2011-01-01", None, "2011-01-03 06:00"]
TRICKY = [
    *("1", "-1.5", " 2 ", "+3", "1.", ".5", "1e5", "-2.50E-3", "1e400", "-1e400", "0.1", "4.9e-324"),
    *("12345678901234567890", "0.30000000000000004", "inf", "-Infinity", "nan", "NA", "?", "", "none", "-", "007"),
    *(
        "1_000",
        "1,5",
        "0x10",
        "\uff11\uff12",
        "ten",
        "1e",
        "e5",
        "1 2",
        "\u00a05\u3000",
        "\ufeff7",
        "9\x1c",
        "--",
        "3.0",
        "TRUE",
    ),
]


def frames():
    lists = {"age": AGES, "city": CITIES, "note": NOTES, "when": DAYS}
    records = [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
    return {
        "lists": lists,
        "records": records,
        "pandas": pd.DataFrame(lists),
        "polars": pl.DataFrame(lists),
        "arrays": {name: np.array(cells, dtype=object) for name, cells in lists.items()},
        "strings": {**lists, "age": ["31", "", "40.0"]},
    }


@pytest.mark.parametrize("kind", frames())
def test_every_kind_of_frame_gives_the_same_columns(kind):
    columns = to_columns(frames()[kind], SCHEMA)
    np.testing.assert_array_equal(columns["age"], [31, np.nan, 40])
    assert columns["city"].tolist() == ["Oslo", None, "Bonn"]
    assert columns["note"].tolist() == ["a b", "", "c"]
    np.testing.assert_array_equal(columns["when"], [1293840000, np.nan, 1293840000 + 2 * 86400 + 6 * 3600])
    assert "row" not in columns


def test_one_row_is_the_same_as_a_frame_of_one_row():
    row = {"age": "31", "city": 3.0, "note": None, "when": dt.date(1970, 1, 2), "more": 1}
    one, frame = row_to_columns(row, SCHEMA), to_columns([row], SCHEMA)
    assert to_columns(row, SCHEMA).keys() == one.keys() == frame.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, frame[name])
    assert one["city"].tolist() == ["3"]
    assert one["when"].tolist() == [86400.0]


def test_a_missing_column_is_refused_by_name_with_the_nearest_one():
    with pytest.raises(RowsRefused, match=r"lack column 'age' \(did you mean 'aeg'\?\)"):
        to_columns({"aeg": [1], "city": ["a"], "note": [""], "when": [0]}, SCHEMA)
    with pytest.raises(RowsRefused, match="lack columns 'note', 'when'"):
        row_to_columns({"age": 1, "city": "a"}, SCHEMA)


def test_extra_columns_are_ignored_and_named():
    frame = {**frames()["lists"], "row": [1, 2, 3], "zodiac": ["a", "b", "c"]}
    assert extras(frame, SCHEMA) == ("zodiac",)
    assert set(to_columns(frame, SCHEMA)) == {"age", "city", "note", "when"}


def test_what_is_not_a_number_is_refused_with_its_row_and_value():
    frame = {**frames()["lists"], "age": ["1", "2", "3 years"]}
    with pytest.raises(RowsRefused, match=r"row 2 \(from 0\) of column 'age' holds '3 years', which is not a number"):
        to_columns(frame, SCHEMA)
    with pytest.raises(RowsRefused, match="column 'when' holds '31/12/2011', which is not a time"):
        to_columns({**frames()["lists"], "when": ["2011-01-01", "31/12/2011", ""]}, SCHEMA)


def test_infinite_numbers_are_missing():
    frame = {**frames()["lists"], "age": ["inf", 1e400, "-Infinity"]}
    assert np.isnan(to_columns(frame, SCHEMA)["age"]).all()
    assert np.isnan(to_columns({**frame, "age": np.array([np.inf, -np.inf, np.nan])}, SCHEMA)["age"]).all()


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(RowsRefused, match="differ in length"):
        to_columns({**frames()["lists"], "age": [1]}, SCHEMA)


@pytest.mark.parametrize("nothing", [3, "text", [1, 2], None])
def test_what_is_no_table_is_refused(nothing):
    with pytest.raises(RowsRefused, match="cannot read rows from"):
        to_columns(nothing, SCHEMA)


def test_pandas_missing_values_of_every_sort_are_missing():
    frame = pd.DataFrame(
        {
            "age": pd.array([1, None, 3], dtype="Int64"),
            "city": pd.Categorical(["a", None, "b"]),
            "note": pd.array(["x", None, "y"], dtype="string"),
            "when": pd.to_datetime(["1970-01-02", None, "1970-01-03"]),
        }
    )
    columns = to_columns(frame, SCHEMA)
    np.testing.assert_array_equal(columns["age"], [1, np.nan, 3])
    assert columns["city"].tolist() == ["a", None, "b"]
    assert columns["note"].tolist() == ["x", "", "y"]
    np.testing.assert_array_equal(columns["when"], [86400, np.nan, 172800])


def test_a_zone_shifts_a_time_and_a_time_without_one_is_utc():
    eight = dt.datetime(2020, 5, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert time_of("2020-05-01T08:00:00+02:00") == time_of(eight) == time_of("2020-05-01 06:00")
    assert time_of(dt.datetime(2020, 5, 1, 6)) == time_of(np.datetime64("2020-05-01T06:00"))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["2011-02-30", "31/12/2011", "12:30", "yesterday", "2011-1-1 25:00"])
def test_what_is_no_time_is_told_from_one(text):
    with pytest.raises(NotThisKind):
        time_of(text)


def one_by_one(rule, cells):
    values, bad = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    for i, cell in enumerate(cells):
        try:
            values[i] = rule(cell)
        except NotThisKind:
            bad[i] = True
    return values, bad


@pytest.mark.parametrize(("kind", "rule"), [(Kind.NUMBER, number_of), (Kind.TIME, time_of)])
def test_the_fast_path_measures_as_the_plain_one(kind, rule):
    cells = [*TRICKY, None, "2011-01-31", "1.2.1999 10:00", "2011年1月2日"]
    expected, misfits = one_by_one(rule, cells)
    values, bad = measured(kind, tidy(cells))
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(bad, misfits)
    assert bad.any()
    assert np.isfinite(values).any()


def test_the_fast_path_is_exact_on_random_floats():
    rng = np.random.default_rng(0)
    cells = [repr(float(x)) for x in rng.normal(size=2000) * 10.0 ** rng.integers(-300, 300, 2000)]
    values, bad = measured(Kind.NUMBER, tidy(cells))
    assert not bad.any()
    assert values.tolist() == [float(cell) for cell in cells]


def test_the_fast_path_names_and_writes_as_the_plain_one():
    cells = [*TRICKY, *(f"x{blank}" for blank in BLANKS), None]
    assert categories(tidy(cells)).tolist() == [category_of(cell) for cell in cells]
    assert texts(tidy(cells)).tolist() == [text_of(cell) for cell in cells]


def test_truth_values_and_whole_floats_have_one_name_each():
    assert {category_of(c) for c in (True, "True", "TRUE", np.True_)} == {"true"}
    assert {category_of(c) for c in (3, 3.0, "3", "3.0", np.float32(3), np.int64(3))} == {"3"}
    assert category_of(-0.0) == category_of("-0.0") == "0"
    assert category_of(math.nan) is None


def test_a_row_of_a_list_that_lacks_a_column_is_refused_as_a_single_one_is():
    whole = {"age": 1, "city": "a", "note": "", "when": 0}
    short = {name: cell for name, cell in whole.items() if name != "city"}
    with pytest.raises(RowsRefused, match=r"row 2 \(from 0\) lacks column 'city'; give every column"):
        to_columns([whole, {**whole, "more": 1}, short], SCHEMA)
    assert to_columns([whole, {**whole, "city": None}], SCHEMA)["city"].tolist() == ["a", None]


def test_a_truth_value_is_the_same_category_in_every_frame():
    schema = Schema((Column(name="city", kind=Kind.CATEGORY),))
    values = [True, False, None]
    several = [
        {"city": values},
        {"city": ["True", "FALSE", ""]},
        {"city": ["true", "false", None]},
        {"city": [np.True_, np.False_, None]},
        [{"city": value} for value in values],
        pd.DataFrame({"city": values}),
        pd.DataFrame({"city": pd.array(values, dtype="boolean")}),
        pl.DataFrame({"city": values}),
    ]
    for frame in several:
        assert to_columns(frame, schema)["city"].tolist() == ["true", "false", None]
    whole = [np.array([True, False]), pd.Series([True, False]), pl.Series([True, False]), np.array(["True", "false"])]
    for cells in whole:
        assert to_columns({"city": cells}, schema)["city"].tolist() == ["true", "false"]
        assert categories(tidy(list(cells))).tolist() == ["true", "false"]
    for cell in (True, np.True_, "true", "True"):
        assert RowReader(schema)({"city": cell}) == {"city": "true"}
