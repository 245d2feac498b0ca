"""What is strange about a table is found before anything is trained, and said with a way out."""

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import inspect, load
from steelyard.data.leaks import is_result_name
from steelyard.errors import DataUnfit

N = 600


def of(findings, code):
    return [f for f in findings if f.code == code]


def helped(table, share, seed=3):
    """Return a column that is the target in a share of the rows, and noise elsewhere."""
    y = np.array(table(N)["y"]) == "yes"
    rng = np.random.default_rng(seed)
    return np.where(rng.random(N) < share, y * 2.0, rng.integers(0, 3, N)) + rng.normal(0, 0.1, N)


def test_a_column_named_like_a_result_is_suspected_from_a_lower_score_on(spec, table):
    later = helped(table, 0.85)
    for name, suspected in (("refund_amount", True), ("closedDate", True), ("height", False)):
        found = of(load(spec(table(N, **{name: later}))).findings, "suspect")
        assert [f.column for f in found] == ([name] if suspected else [])
    assert "is named like a result" in of(load(spec(table(N, refunded=later))).findings, "suspect")[0].sentence


def test_a_name_alone_is_no_reason_to_suspect(spec, table):
    noise = np.random.default_rng(5).normal(size=N)
    assert not of(load(spec(table(N, outcome=noise))).findings, "suspect")


@pytest.mark.parametrize(
    ("name", "is_result"),
    [
        ("outcome", True),
        ("days_after_visit", True),
        ("ChargebackCount", True),
        ("date cancelled", True),
        ("rafter", False),
        ("resulta", False),
        ("postcode", False),
        ("income", False),
    ],
)
def test_names_of_results_are_whole_words(name, is_result):
    assert is_result_name(name) is is_result


def test_a_leak_into_a_rare_class_is_found_and_noise_is_not(spec):
    rng = np.random.default_rng(0)
    rows = 20_000
    y = np.zeros(rows, dtype=int)
    y[rng.permutation(rows)[:60]] = 1
    data = {f"x{i}": rng.normal(size=rows) for i in range(10)}
    data["told"] = np.where(y == 1, 5.0, 0.0) + rng.normal(size=rows)
    found = inspect(spec({**data, "y": y})).findings
    assert {f.column for f in found if f.code in ("leak", "suspect")} == {"told"}


# ---------------------------------------------------------------------------------------- repeated rows


def test_equal_rows_with_other_targets_are_counted_with_the_best_accuracy_that_is_left(spec, table):
    data = {k: v for k, v in table(N).items() if k != "id"}
    twice = {k: [*list(v), *list(v)[:90]] for k, v in data.items()}
    twice["y"][N:] = ["no" if cell == "yes" else "yes" for cell in twice["y"][N:]]
    sides = {"side": ["train"] * (N - 60) + ["test"] * 60 + ["train"] * 90}
    (found,) = of(load(spec({**twice, **sides}, split={"column": "side"})).findings, "conflicting_targets")
    assert found.severity == "warn"
    assert found.numbers["rows"] == 180
    assert f"no model can have an accuracy above {1 - 90 / 630:.4f}" in found.sentence


def test_equal_rows_with_equal_targets_contradict_nothing(spec, table):
    data = {k: [*list(v), *list(v)[:90]] for k, v in table(N).items() if k != "id"}
    found = load(spec(data)).findings
    assert of(found, "duplicate_rows")
    assert not of(found, "conflicting_targets")


def test_numbers_may_contradict_each_other_too(spec, table):
    data = {k: [*list(v), *list(v)[:50]] for k, v in table(N).items() if k not in ("id", "y")}
    y = np.random.default_rng(0).normal(size=N)
    (found,) = of(load(spec({**data, "y": [*y, *(y[:50] + 1)]})).findings, "conflicting_targets")
    assert "accuracy" not in found.sentence
    assert 0 < found.numbers["rows"] <= 100


# ----------------------------------------------------------------------------------------- many of them


def test_a_column_of_ten_thousand_categories_is_pointed_out(spec):
    rng = np.random.default_rng(0)
    rows = 12_000
    codes = [f"c{i}" for i in rng.integers(0, 10_000, rows)]
    data = {"x": rng.normal(size=rows), "code": codes, "few": rng.choice(["a", "b"], rows).tolist()}
    seen = load(spec({**data, "y": rng.integers(0, 2, rows)}))
    (found,) = of(seen.findings, "many_categories")
    assert found.column == "code"
    assert found.numbers["rows_each"] == pytest.approx(rows / len(set(codes)))
    assert next(c for c in seen.schema.columns if c.name == "code").kind is Kind.CATEGORY


def test_more_columns_than_rows_are_pointed_out_and_none_is_called_a_leak(spec):
    rng = np.random.default_rng(0)
    data = {f"x{i}": rng.normal(size=100) for i in range(400)}
    seen = load(spec({**data, "y": rng.integers(0, 2, 100)}))
    (found,) = of(seen.findings, "more_columns_than_rows")
    assert found.numbers == {"columns": 400.0, "rows": 100.0}
    assert not of(seen.findings, "leak")


# ------------------------------------------------------------------------------------- after the split


def test_a_column_with_values_in_test_rows_only_is_left_out(spec, table):
    side = ["train"] * 500 + ["test"] * 100
    late = [None] * 500 + list(np.arange(100.0))
    worded = [None] * 500 + ["a", "b"] * 50
    data = load(spec(table(N, side=side, late=late, worded=worded), split={"column": "side"}))
    assert {f.column for f in of(data.findings, "empty_in_training")} == {"late", "worded"}
    assert {"late", "worded"}.isdisjoint(data.rows.columns)
    assert {"late", "worded"}.isdisjoint(c.name for c in data.schema.columns)


def test_a_column_without_values_where_some_part_trains_is_pointed_out_and_stays(spec, table):
    day = [f"2020-01-01 {i // 60:02d}:{i % 60:02d}:00" for i in range(N)]
    new = [None] * 300 + list(np.arange(300.0) % 7)
    data = load(spec(table(N, day=day, new=new), split={"time": "day"}))
    (found,) = of(data.findings, "empty_in_part")
    assert "no value in the rows that train fold-0 and fold-1" in found.sentence
    assert "new" in data.rows.columns


def rare(rows, positives):
    rng = np.random.default_rng(0)
    y = np.zeros(rows, dtype=int)
    y[rng.permutation(rows)[:positives]] = 1
    return {"x": rng.normal(size=rows), "z": rng.normal(size=rows), "y": y}


def test_a_target_with_a_thousandth_of_positives_has_some_in_each_part_and_few_are_said(spec):
    data = load(spec(rare(12_000, 12)))
    parts = data.partition
    for side in (parts.test, parts.validation, parts.calibration, parts.parts[0].fit):
        assert data.rows.target[side].sum() >= 1
    (found,) = of(data.findings, "rough_class")
    assert "'1' (" in found.sentence
    assert "split: {folds: 5}" in found.sentence


def test_where_validation_has_no_positive_nothing_could_be_chosen_and_the_run_stops(spec):
    with pytest.raises(DataUnfit, match=r"class '1' of the target 'y' has no rows to validate on \(holdout\)"):
        load(spec(rare(12_000, 3)))
    assert of(load(spec(rare(12_000, 12), split={"folds": 5})).findings, "rough_class")
    assert not of(load(spec(rare(12_000, 3_000))).findings, "rough_class")
