import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import inspect, load
from steelyard.data.leaks import GIVES_AWAY, exact_sum
from steelyard.errors import DataUnfit

N = 600


def made(spec, table, rows=N, **more):
    return spec(table(rows, **more))


def of(findings, code):
    return [f for f in findings if f.code == code]


def leaky(table, kind):
    y = np.array(table(N)["y"]) == "yes"
    rng = np.random.default_rng(3)
    return {
        "copy": np.where(y, "approved", "refused").tolist(),
        "number": np.where(y, 2.5, 1.5) + rng.normal(0, 0.01, N),
        "filled in later": [f"{i % 50}.5" if positive else "" for i, positive in enumerate(y)],
        "named": [f"{'ABC'[i % 3]}{'+' if positive else '-'}" for i, positive in enumerate(y)],
    }[kind]


@pytest.mark.parametrize("kind", ["copy", "number", "filled in later", "named"])
def test_a_column_that_gives_the_target_away_stops_with_its_solo_score(spec, table, kind):
    wanted = made(spec, table, later=leaky(table, kind))
    with pytest.raises(DataUnfit, match=r"column 'later' alone predicts the target 'y' with ROC AUC (0.99|1.00)\d\d"):
        load(wanted)
    (leak,) = of(inspect(wanted).findings, "leak")
    assert leak.column == "later"
    assert leak.numbers["solo_score"] >= GIVES_AWAY
    assert "checks: {leaks: drop}" in leak.sentence


def test_the_spec_can_drop_keep_or_allow_a_leak(spec, table):
    data = table(N, later=leaky(table, "copy"))
    dropped = load(spec(data, checks={"leaks": "drop"}))
    assert "later" not in dropped.rows.columns
    assert "later" not in {c.name for c in dropped.schema.columns}
    assert of(dropped.findings, "leak")[0].severity == "warn"
    for more in ({"checks": {"leaks": "keep"}}, {"columns": {"allow": ["later"]}}):
        kept = load(spec(data, **more))
        assert "later" in kept.rows.columns
        assert of(kept.findings, "leak")[0].severity == "note"


def test_when_only_leaks_are_left_to_learn_from_the_run_stops(spec, table):
    data = {name: cells for name, cells in table(N, later=leaky(table, "copy")).items() if name in ("later", "y")}
    with pytest.raises(DataUnfit, match="no column is left to predict 'y' from"):
        load(spec(data, checks={"leaks": "drop"}))


def test_several_classes_and_quantities_have_leaks_too(spec, table):
    code = [i * 7 % 5 for i in range(N)]
    with pytest.raises(DataUnfit, match=r"'later' alone .* with accuracy 1.0000"):
        load(made(spec, table, y=[f"class {c}" for c in code], later=code))
    y = np.exp(np.random.default_rng(0).normal(size=N))
    with pytest.raises(DataUnfit, match=r"'later' alone .* with R2 1.0000"):
        load(made(spec, table, y=y, later=y * 0.3 + 5))


def test_the_parts_of_a_sum_are_a_leak_although_neither_is_alone(spec, table):
    a, b = np.random.default_rng(0).integers(0, 500, (2, N)).astype(float)
    wanted = made(spec, table, y=a + b, a=a, b=b)
    with pytest.raises(DataUnfit, match="exactly the sum of a and b"):
        load(wanted)
    assert [f.column for f in of(inspect(wanted).findings, "leak")] == ["a", "b"]
    assert exact_sum({"a": a, "b": b}, a + b + np.random.default_rng(1).normal(0, 0.1, N)) == {}
    assert exact_sum({"a": a, "b": b}, a - b) == {"a": 1, "b": -1}
    assert exact_sum({"a": a, "b": b}, 2 * a + b) == {}


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_honest_data_has_no_leak(spec, name):
    assert of(load(spec(f"sklearn:{name}")).findings, "leak") == []


def test_a_column_that_separates_a_small_table_is_a_warning(spec):
    table = load(spec("sklearn:iris", "species"))
    two = {name: values[:100] for name, values in table.rows.columns.items()}
    seen = load(spec({**two, "species": ["setosa"] * 50 + ["versicolor"] * 50}, "species"))
    assert {f.column for f in of(seen.findings, "suspect")} >= {"petal length (cm)"}


def test_a_very_common_class_is_no_leak_of_every_column(spec, table):
    y = (["a"] * 397 + ["b", "c", "b"]) * 15
    findings = load(made(spec, table, 6000, y=y)).findings
    assert of(findings, "leak") == of(findings, "suspect") == []


def test_noise_is_never_a_leak(spec):
    rng = np.random.default_rng(0)
    data = {f"x{i}": rng.normal(size=300) for i in range(20)} | {"c": [f"v{i % 290}" for i in range(300)]}
    seen = load(spec({**data, "y": rng.integers(0, 2, 300)}, columns={"category": ["c"]}))
    assert [f for f in seen.findings if f.code in ("leak", "suspect")] == []


def test_text_is_not_scored_for_leaks(spec, table):
    y = table(N)["y"]
    note = [f"the answer that they wrote here was {cell} number {i}" for i, cell in enumerate(y)]
    assert of(load(made(spec, table, note=note)).findings, "leak") == []


def test_test_rows_that_repeat_known_ones_are_counted(spec, table):
    data = {k: v for k, v in table(200).items() if k != "id"}
    doubled = {name: [*list(cells), *list(cells)] for name, cells in data.items()}
    doubled["side"] = ["train"] * 200 + ["test"] * 200
    found = of(load(spec(doubled, split={"column": "side"})).findings, "duplicates_across")
    assert [(f.severity, f.numbers["rows"]) for f in found] == [("warn", 200.0)]
    assert "200 of 200 test rows (100.0%)" in found[0].sentence


def test_ids_constants_and_empty_columns_are_named_and_left_out(spec, table):
    data = load(spec(table(same=["x"] * 120, void=[""] * 120, also=[1] * 120)))
    kinds = {c.name: c.kind for c in data.schema.columns}
    assert (kinds["id"], kinds["same"], kinds["void"]) == (Kind.ID, Kind.CONSTANT, Kind.CONSTANT)
    assert [f.column for f in of(data.findings, "id_column")] == ["id"]
    assert [f.column for f in of(data.findings, "empty_column")] == ["void"]
    assert "2 columns 'same', 'also' have the same value" in of(data.findings, "constant_column")[0].sentence
    assert set(data.rows.columns) == {"age", "city", "note", "day"}


@pytest.mark.parametrize("given", [{}, {"text": ["void"]}, {"number": ["void"]}, {"category": ["void"]}])
def test_a_column_of_empty_strings_is_left_out_whatever_it_is_called(spec, table, given):
    data = load(spec(table(void=["", " "] * 60), columns=given))
    assert "void" not in data.rows.columns
    assert of(data.findings, "empty_column")


def test_infinite_numbers_are_missing_and_it_is_said(spec, table):
    cells = [float(i * i) for i in range(118)] + [np.inf, -np.inf]
    for written in (cells, [str(cell) for cell in cells]):
        data = load(spec(table(x=written)))
        assert np.isnan(data.rows.columns["x"][-2:]).all()
        assert np.isfinite(data.rows.columns["x"][:-2]).all()
        (found,) = of(data.findings, "infinite")
        assert (found.column, found.numbers) == ("x", {"cells": 2.0, "row": 118.0})


def test_a_split_column_that_is_not_used_is_pointed_out_and_no_feature(spec, table):
    data = load(spec(table(split=["train", "test", "train"] * 40)))
    assert [f.column for f in of(data.findings, "unused_split")] == ["split"]
    assert "split" not in data.rows.columns


def test_too_few_rows_stop_and_few_rows_warn(spec, table):
    with pytest.raises(DataUnfit, match="9 rows with a target are too few"):
        load(spec(table(9)))
    assert of(load(spec(table(60))).findings, "few_rows")


def test_a_class_outside_of_training_is_pointed_out(spec, table):
    data = table(120, y=["a", "b"] * 45 + ["c"] * 30, side=["train"] * 45 + ["test"] * 75)
    findings = load(spec(data, split={"column": "side"})).findings
    assert [f.sentence[:9] for f in of(findings, "unseen_class")] == ["class 'c'"]


def test_findings_come_in_order_of_severity(spec, table):
    order = {"stop": 0, "warn": 1, "note": 2}
    findings = inspect(made(spec, table, later=leaky(table, "copy"), void=[""] * N)).findings
    ranks = [order[f.severity] for f in findings]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3


def test_every_finding_is_one_sentence_with_a_way_out(spec, table):
    wanted = made(spec, table, later=leaky(table, "copy"), void=[""] * N, same=["x"] * N, odd=[np.inf] + [1.0] * 599)
    for finding in inspect(wanted).findings:
        assert "\n" not in finding.sentence
        assert ";" in finding.sentence or ", or" in finding.sentence


@pytest.mark.parametrize(("trend", "found"), [(0.9, True), (0.0, False)])
def test_a_trend_in_noise_is_found_by_wide_bins_in_a_column_named_like_a_result(spec, trend, found):
    rng = np.random.default_rng(5)
    x = rng.normal(size=900)
    y = np.where(trend * x + rng.normal(size=900) > 0, "yes", "no")
    suspects = of(inspect(spec({"y": y.tolist(), "other": x[::-1].tolist(), "refund": x.tolist()})).findings, "suspect")
    assert [f.column for f in suspects] == (["refund"] if found else [])
    assert all(0.7 < f.numbers["solo_score"] < 0.8 for f in suspects)
