import numpy as np
import pytest

from steelyard.contracts import Problem
from steelyard.data import inspect, load
from steelyard.errors import DataUnfit, SpecInvalid

N = 120


def made(spec, table, y, **more):
    return load(spec(table(y=y), **more))


def codes(findings, severity=None):
    return [f.code for f in findings if severity is None or f.severity == severity]


def test_few_whole_numbers_are_classes_in_order_of_value_and_it_is_said(spec, table):
    data = made(spec, table, [(i * 7) % 12 for i in range(N)])
    assert data.task.problem is Problem.MULTICLASS
    assert data.task.classes == tuple(str(i) for i in range(12))
    assert data.rows.target.tolist() == [(i * 7) % 12 for i in range(N)]
    assert "task: regression" in next(f.sentence for f in data.findings if f.code == "task")


@pytest.mark.parametrize(
    "y", [[i * 1.5 for i in range(N)], [str(i % 40) for i in range(N)], [i % 11 * 10 for i in range(N)]]
)
def test_other_numbers_are_a_quantity(spec, table, y):
    data = made(spec, table, y)
    assert data.task.problem is Problem.REGRESSION
    assert data.task.aim == "rmse"
    assert data.rows.target.tolist() == [float(value) for value in y]


def test_the_spec_decides_between_classes_and_quantity(spec, table):
    y = [i % 3 for i in range(N)]
    assert made(spec, table, y, task="regression").task.problem is Problem.REGRESSION
    assert made(spec, table, y, task="classification").task.problem is Problem.MULTICLASS


@pytest.mark.parametrize(
    ("two", "positive"),
    [
        ((0, 1), "1"),
        ((-1, 1), "1"),
        (("no", "yes"), "yes"),
        (("N", "Y"), "Y"),
        ((False, True), "true"),
        (("neg", "pos"), "pos"),
        (("good", "bad"), "bad"),
        (("ham", "spam"), "spam"),
        (("apple", "pear"), "pear"),
    ],
)
def test_the_positive_class_is_the_usual_one_or_the_rarer_and_it_is_said(spec, table, two, positive):
    data = made(spec, table, [two[i % 3 == 0] for i in range(N)])
    assert data.task.positive == positive
    assert codes(data.findings).count("positive_class") == 1


def test_a_given_positive_class_is_taken_without_a_word(spec, table):
    data = load(spec(table(), positive="no"))
    assert data.task.positive == "no"
    assert "positive_class" not in codes(data.findings)
    with pytest.raises(SpecInvalid, match=r"no class 'noo' \(did you mean 'no'\?\)"):
        load(spec(table(), positive="noo"))
    with pytest.raises(SpecInvalid, match="only a task with two classes"):
        made(spec, table, [i % 3 for i in range(N)], positive="1")


def test_outcomes_become_money_by_true_and_decided_class(spec, table):
    value = {"true_positive": "500 EUR", "false_positive": "-40 EUR"}
    task = load(spec(table(), value=value)).task
    assert task.classes == ("no", "yes")
    assert task.value == ((0.0, -40.0), (0.0, 500.0))
    assert (task.currency, task.aim) == ("EUR", "value")
    three = made(spec, table, [i % 3 for i in range(N)], value={"right": "1 USD", "wrong": "-2 USD"}).task
    assert three.value == ((1, -2, -2), (-2, 1, -2), (-2, -2, 1))


def test_outcomes_that_do_not_fit_the_task_are_refused(spec, table):
    for y, value, said in (
        ([i % 3 for i in range(N)], {"true_positive": 5}, "give `right` and `wrong`"),
        ([i * 0.5 for i in range(N)], {"right": 5}, "what each unit too much costs"),
        (["a", "b"] * 60, {"right": "5 USD", "wrong": "5 EUR"}, "in one currency"),
    ):
        with pytest.raises(SpecInvalid, match=said):
            made(spec, table, y, value=value)


def test_a_metric_of_another_task_is_refused(spec, table):
    with pytest.raises(SpecInvalid, match="metric 'rmse' is for forecasting and regression"):
        load(spec(table(), quality={"metric": "rmse"}))
    assert load(spec(table(), quality={"metric": "f1"})).task.aim == "f1"


def test_missing_targets_stop_unless_they_are_to_be_dropped(spec, table):
    y = ["", *table()["y"][1:]]
    with pytest.raises(DataUnfit, match=r"1 of 120 rows have no target in 'y'; .*missing_target: drop"):
        made(spec, table, y)
    data = made(spec, table, y, checks={"missing_target": "drop"})
    assert len(data.rows) == 119
    assert data.rows.rows[0] == 1
    assert codes(data.findings, "warn") == ["missing_target"]
    assert data.unlabelled is None


@pytest.mark.parametrize("numeric", [False, True])
def test_rows_without_a_target_may_be_kept_for_what_learns_without_one(spec, table, numeric):
    y = [0.5 * i for i in range(N)] if numeric else list(table()["y"])
    gaps = range(0, N, 4)
    for row in gaps:
        y[row] = float("nan") if numeric else ""
    data = made(spec, table, y, checks={"missing_target": "use"})
    assert data.unlabelled.rows.tolist() == list(gaps)
    assert not set(data.rows.rows) & set(gaps)
    assert data.unlabelled.columns.keys() == data.rows.columns.keys()
    assert [f.severity for f in data.findings if f.code == "missing_target"] == ["note"]
    dropped = made(spec, table, y, checks={"missing_target": "drop"})
    assert dropped.fingerprint != data.fingerprint
    assert np.array_equal(dropped.partition.test, data.partition.test)


def test_a_column_that_is_left_out_is_left_out_of_rows_without_a_target_too(spec, table):
    y = ["", *table()["y"][1:]]
    data = load(spec(table(y=y, blank=[None] * N), checks={"missing_target": "use"}))
    assert "blank" not in data.unlabelled.columns
    assert data.unlabelled.columns.keys() == data.rows.columns.keys()


@pytest.mark.parametrize(
    ("y", "more", "said"),
    [
        ([""] * N, {}, "no row has a value in the target 'y'"),
        (["a"] * N, {}, "all rows have class 'a'"),
        ([5.5] * N, {}, "all rows have the value 5.5"),
        ([f"u{i}" for i in range(N)], {}, "120 classes in 120 rows, one row per class"),
        ([f"u{i % 80}" for i in range(N)], {}, "fewer than two rows per class"),
        (["a", "b"] * 59 + ["c", "c"], {}, r"class 'c' \(2\) of the target 'y' has fewer than 3 rows, too rare"),
        ([1.5] * 119 + [float("inf")], {}, r"holds inf in row 119 \(from 0\), which is infinite"),
        (["1.5", "2.5"] * 59 + ["x", "3"], {"task": "regression"}, "holds 'x' in row 118 .* which is not a number"),
        ([["a"], ["a", "b"]] * 60, {}, "holds lists of labels"),
        (["a;b", "b;c", "c;a", "a;b;c", "a"] * 24, {}, r"holds several labels a row \('a;b'\)"),
        (["a,b", "b,c", "c,a", "a,b,c", "a"] * 24, {}, "holds several labels a row"),
    ],
)
def test_what_cannot_be_learned_stops_in_a_sentence(spec, table, y, more, said):
    with pytest.raises(DataUnfit, match=said):
        made(spec, table, y, **more)
    seen = inspect(spec(table(y=y), **more))
    assert seen.dataset is None
    assert codes(seen.findings, "stop")
    assert len(seen.schema.columns) == 5


def test_names_with_commas_are_not_several_labels(spec, table):
    y = [f"{('Mon', 'Tue', 'Wed')[i % 3]}, {('early', 'late')[i % 2]}" for i in range(N)]
    assert len(made(spec, table, y).task.classes) == 6


def test_a_thin_class_is_a_warning(spec, table):
    data = made(spec, table, ["a", "b"] * 58 + ["c"] * 4)
    warned = next(f for f in data.findings if f.code == "rare_class")
    assert (warned.severity, warned.numbers["least"]) == ("warn", 4.0)


def test_names_that_are_not_columns_are_all_named_with_the_nearest(spec, table):
    wrong = spec(table(), "yy", columns={"ignore": ["agee"], "weight": "w"}, split={"group": "citty", "time": "dayy"})
    with pytest.raises(DataUnfit) as stopped:
        load(wrong)
    said = str(stopped.value).splitlines()
    assert [line.split(":")[0] for line in said] == [
        "target",
        "columns.ignore",
        "columns.weight",
        "split.group",
        "split.time",
    ]
    assert "(did you mean 'y'?)" in said[0] or "'yy'" in said[0]
    assert "(did you mean 'age'?)" in said[1]
    assert "(did you mean 'city'?)" in said[3]


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "heavy"])
def test_weights_must_be_positive(spec, table, weight):
    with pytest.raises(DataUnfit, match=r"columns.weight: 'w' holds .* in row 3 \(from 0\)"):
        load(spec(table(w=[1, 1, 1, weight] + [1] * 116), columns={"weight": "w"}))


def test_all_stops_are_told_at_once(spec, table):
    y = ["", *table()["y"][1:]]
    with pytest.raises(DataUnfit) as stopped:
        load(spec(table(y=y), columns={"number": ["city"]}))
    assert len(str(stopped.value).splitlines()) == 3
    assert np.all([part in str(stopped.value) for part in ("no target", "given as number")])
