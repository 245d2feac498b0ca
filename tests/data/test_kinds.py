import datetime as dt

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import inspect, load
from steelyard.data.fast import tidy
from steelyard.data.kinds import kind_of
from steelyard.errors import DataUnfit

N = 60
ROWS = range(N)


def kind(cells, name="x"):
    return kind_of(name, tidy(cells)).kind


@pytest.mark.parametrize(
    ("expected", "name", "cells"),
    [
        (Kind.NUMBER, "x", [str(i / 7) for i in ROWS]),
        (Kind.NUMBER, "few whole values", [i % 2 for i in ROWS]),
        (Kind.NUMBER, "with gaps", ["", "NA", "none", *(str(i * i) for i in ROWS)]),
        (Kind.NUMBER, "year", [1990 + i for i in ROWS]),
        (Kind.NUMBER, "paid", [i * 3 for i in ROWS]),
        (Kind.ID, "row", [str(i) for i in ROWS]),
        (Kind.ID, "counted from one", np.arange(1.0, N + 1)),
        (Kind.ID, "customer_id", [(i * 37) % 101 + 5000 for i in ROWS]),
        (Kind.ID, "email", [f"u{i}@example.org" for i in ROWS]),
        (Kind.ID, "code", [f"{i:05d}" for i in ROWS]),
        (Kind.CATEGORY, "userId", [i % 7 for i in ROWS]),
        (Kind.CATEGORY, "postcode", [f"0{1000 + i % 9}" for i in ROWS]),
        (Kind.CATEGORY, "city", ["Oslo", "Bonn", "New York"] * 20),
        (Kind.CATEGORY, "flag", [i % 2 == 0 for i in ROWS]),
        (Kind.CATEGORY, "written flag", ["True", "FALSE"] * 30),
        (Kind.CATEGORY, "us date", [f"{1 + i % 12}/31/2011" for i in ROWS]),
        (Kind.CATEGORY, "canned answers", ["please call me back as soon as you can", "no, thank you very much"] * 30),
        (Kind.TEXT, "question", [f"when will my card number {i} arrive" for i in ROWS]),
        (Kind.TEXT, "chinese", [f"房间很大整体感觉经济实惠不错{i}" for i in ROWS]),
        (Kind.TIME, "day", [f"2011-01-{1 + i % 28:02d}" for i in ROWS]),
        (Kind.TIME, "typed", [dt.date(2011, 1, 1 + i % 28) for i in ROWS]),
        (Kind.TIME, "numpy", np.arange("2011-01-01", "2011-03-02", dtype="datetime64[D]")),
        (Kind.TIME, "german", [f"{1 + i % 28}.1.2011 10:30" for i in ROWS]),
        (Kind.CONSTANT, "one", ["a"] * N),
        (Kind.CONSTANT, "none at all", [""] * N),
        (Kind.CONSTANT, "all nan", np.full(N, np.nan)),
        (Kind.CATEGORY, "present or not", ["x", ""] * 30),
        (Kind.NUMBER, "one number or none", ["1", ""] * 30),
        (Kind.IMAGE, "path", [f"pictures/{i}.PNG" for i in ROWS]),
        (Kind.IMAGE, "arrays", [np.zeros((4, 4), dtype=np.uint8) for _ in ROWS]),
    ],
)
def test_a_column_is_what_its_cells_say(expected, name, cells):
    assert kind(cells, name) is expected


def test_few_rows_are_never_taken_for_ids():
    assert kind([f"u{i}" for i in range(10)]) is Kind.CATEGORY
    assert kind(list(range(10))) is Kind.NUMBER


def test_words_without_spaces_are_told_from_words_with(table, spec):
    data = table(zh=[f"商务大床房，房间很大，整体感觉经济实惠 {i}" for i in range(120)])
    schema = load(spec(data)).schema
    assert {c.name: c.spaced for c in schema.of(Kind.TEXT)} == {"note": True, "zh": False}


def test_given_kinds_win_and_say_so(table, spec):
    given = {"text": ["city"], "category": ["id"], "number": ["age"]}
    schema = load(spec(table(), columns=given)).schema
    kinds = {c.name: (c.kind, c.why) for c in schema.columns}
    assert kinds["city"] == (Kind.TEXT, "given in the spec")
    assert kinds["id"] == (Kind.CATEGORY, "given in the spec")


def test_a_given_kind_that_does_not_fit_stops_with_the_first_misfit(table, spec):
    with pytest.raises(DataUnfit, match=r"'city' is given as number, but 120 cells are not a number, the first is"):
        load(spec(table(), columns={"number": ["city"]}))


def test_a_number_column_with_a_few_odd_cells_is_pointed_out(table, spec):
    cells = [str(i * 1.5) for i in range(119)] + ["unknown"]
    found = [f for f in inspect(spec(table(odd=cells))).findings if f.code == "almost_number"]
    assert [(f.column, f.numbers["row"]) for f in found] == [("odd", 119.0)]
    assert "'unknown' in row 119" in found[0].sentence


def test_the_schema_has_shares_counts_and_ranges_in_the_order_of_the_source(table, spec):
    data = table(gaps=[None, 1.0, 2.0] * 40)
    schema = load(spec(data)).schema
    assert [c.name for c in schema.columns] == ["id", "age", "city", "note", "day", "gaps"]
    gaps = schema.columns[-1]
    assert (gaps.missing, gaps.distinct, gaps.low, gaps.high) == (pytest.approx(1 / 3), 2, 1.0, 2.0)
    assert [c.name for c in schema.features] == ["age", "city", "note", "day", "gaps"]


def test_ignored_weight_and_split_columns_are_no_part_of_the_schema(table, spec):
    sides = ["train", "test", "train", "train"] * 30
    data = table(w=[1.0, 2.0] * 60, side=sides, junk=[i % 5 for i in range(120)])
    made = load(spec(data, columns={"ignore": ["junk"], "weight": "w"}, split={"column": "side"}))
    assert {"junk", "w", "side", "y"}.isdisjoint(c.name for c in made.schema.columns)
    assert made.rows.weights.tolist() == [1.0, 2.0] * 60
    assert len(made.partition.test) == 30


def test_prices_reach_the_schema(table, spec):
    schema = load(spec(table(), columns={"price": {"age": "0.05 USD"}})).schema
    assert {c.name: str(c.price) for c in schema.columns if c.price} == {"age": "0.050000 USD"}


def test_lists_in_a_feature_are_refused(table, spec):
    with pytest.raises(DataUnfit, match="'tags' holds lists, which no model here reads"):
        load(spec(table(tags=[["a", "b"]] * 120)))
