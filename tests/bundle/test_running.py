"""Loaded bundles: rows in, answers out."""

import re
import subprocess
import sys
import threading
import timeit

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from steelyard.bundle import answer_of, apply_rule, load, running
from steelyard.bundle.cells import RowReader, reader
from steelyard.contracts import Answer, Column, Kind, Problem, Schema, Task
from steelyard.data import coerce
from steelyard.errors import BundleRefused, RowsRefused, SteelyardError
from steelyard.testing.bundles import rows_for

# ---------------------------------------------------------------------------------------------- cells

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [" 1.5 ", "1e3", "NA", "?", "inf", "-Infinity", "3.0", "TRUE", "2011-01-31", "1_000", "\u3000", "0x1"]
    ),
    st.sampled_from([np.float32(1.5), np.int64(3), np.bool_(True), np.datetime64("2020-01-01"), pd.NA, pd.NaT]),
    st.dates(),
    st.datetimes(),
)


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.TIME, Kind.CATEGORY, Kind.TEXT])
@given(cells=st.lists(CELLS, min_size=1, max_size=5))
def test_a_cell_is_read_as_the_column_coercion_reads_it(kind, cells):
    read = RowReader(Schema((Column(name="c", kind=kind),)))
    for cell in [*cells, *cells]:  # twice: the second time categories are remembered
        expected, refusal = coerced(kind, cell)
        if refusal:
            with pytest.raises(RowsRefused, match=re.escape(refusal)):
                read({"c": cell})
            continue
        got = read({"c": cell})["c"]
        assert type(got) is type(expected)
        assert got == expected or (got != got and expected != expected)  # noqa: PLR0124


@pytest.mark.parametrize("cell", [np.inf, -np.inf, "inf", 10**400, None, "", "NA"])
def test_an_infinite_number_is_missing(cell, ready):
    bundle = load(ready["numbers"])
    missing = bundle.answer_row({"age": np.nan}).scores.tolist()
    assert bundle.answer_row({"age": cell}).scores.tolist() == missing
    assert bundle.answer_rows({"age": [cell, 3]}).scores[:1].tolist() == missing


def coerced(kind, cell):
    try:
        return coerce.column(kind, [cell], "c").tolist()[0], ""
    except RowsRefused as refusal:
        return None, str(refusal)


def test_categories_are_remembered_within_bounds():
    read = reader(Kind.CATEGORY)
    for number in range(10_000):
        assert read(f" {number} ") == str(number)
    assert len(read.__closure__[0].cell_contents) == 4096


@pytest.mark.parametrize("row", [{}, {"agee": 1}, {"age": "old"}, {"age": [1]}, {"age": object()}])
def test_a_row_that_does_not_fit_is_refused_by_the_sentence_of_many_rows(row, ready):
    with pytest.raises(RowsRefused, match="'age'"):
        load(ready["numbers"]).answer_row(row)


@pytest.mark.parametrize("row", [[1], 3, None, "age"])
def test_what_is_no_row_is_refused(row, ready):
    with pytest.raises(RowsRefused, match="one row is a dict of values by column name; got"):
        load(ready["numbers"]).answer_row(row)


# --------------------------------------------------------------------------------------------- answers


def test_one_row_is_answered_exactly_as_a_table_of_one_row(bundle):
    for row in rows_for(bundle.schema, 30):
        one, table = bundle.answer_row(row), bundle.answer_rows([row])
        assert one.scores.tolist() == table.scores.tolist()
        assert one.decided.tolist() == table.decided.tolist()
        assert one.scores.dtype == table.scores.dtype == np.float64
        assert one.decided.dtype == table.decided.dtype


def test_frames_of_every_make_get_the_same_answer(ready):
    bundle = load(ready["mixed"])
    rows = [{name: row[name] for name in ("age", "when", "city", "note")} for row in rows_for(bundle.schema, 8)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    usual = bundle.predict_proba(rows)
    for frame in (columns, pd.DataFrame(rows), pl.DataFrame(rows), {k: np.array(v) for k, v in columns.items()}):
        assert bundle.predict_proba(frame).tolist() == usual.tolist()
        assert bundle.predict(frame).tolist() == bundle.predict(rows).tolist()
    assert usual.shape == (8, 2)
    assert set(bundle.predict(rows)) <= {"no", "yes"}
    assert all(type(name) is str for name in bundle.predict(rows))


def test_numbers_are_predicted_as_float64(ready):
    bundle = load(ready["regression"])
    values = bundle.predict({"age": [1, None, "3"]})
    assert values.dtype == np.float64
    assert values.shape == (3,)
    with pytest.raises(RowsRefused, match="is a number and has no probabilities"):
        bundle.predict_proba({"age": [1]})


@pytest.mark.parametrize("rows", [1, 8192, 8193, 20_000])
def test_large_tables_are_answered_in_batches_without_a_seam(rows, ready):
    bundle = load(ready["numbers"])
    columns = {"age": np.linspace(0, 90, rows)}
    answer = bundle.answer(columns)
    assert answer.scores.shape == (rows, 2)
    for row in {0, rows // 2, rows - 1}:
        alone = bundle.answer_row({"age": float(columns["age"][row])})
        assert np.allclose(alone.scores, answer.scores[row], atol=1e-6)


def test_a_row_that_cannot_be_read_is_named_in_the_whole_table(ready):
    bundle = load(ready["image"])
    photos = [np.zeros((8, 8, 3), np.uint8)] * 700
    photos[600] = b"broken"
    with pytest.raises(RowsRefused, match=r"row 600 \(from 0\) of column 'photo'"):
        bundle.predict({"photo": photos})


def test_a_row_without_a_finite_score_is_named_in_the_whole_table(ready):
    ages = np.ones(10_000)
    for name in ("numbers", "regression"):
        bundle = load(ready[name])
        for row in (0, 9_000):
            ages[:] = 1
            ages[row] = 1e300
            with pytest.raises(RowsRefused, match=rf"row {row} \(from 0\) has no finite score"):
                bundle.answer({"age": ages})
        with pytest.raises(RowsRefused, match="no finite score"):
            bundle.answer_row({"age": 1e300})


def test_scores_that_are_no_probabilities_are_refused(make, tmp_path):
    for place, end in enumerate(("Identity", "Sigmoid")):
        bundle = load(make.write(tmp_path / str(place), make.artefact(end=end)))
        with pytest.raises(BundleRefused, match="are no probabilities"):
            bundle.predict({"age": [3.0]})
        with pytest.raises(BundleRefused, match="are no probabilities"):
            bundle.predict({"age": [3.0, 4.0]})


def test_a_graph_that_answers_too_few_rows_is_refused(make, tmp_path):
    extra = [
        helper.make_node("Softmax", ["linear"], ["soft"], axis=1),
        helper.make_node("ArgMax", ["soft"], ["first"], axis=0, keepdims=1),
        helper.make_node("GatherElements", ["soft", "first"], ["scores"], axis=0),
    ]
    bundle = load(make.write(tmp_path / "b", make.artefact(extra=extra)))
    with pytest.raises(BundleRefused, match=r"shape \(1, 2\) for 3 rows"):
        bundle.predict({"age": [1, 2, 3]})


def test_a_graph_that_fails_on_rows_says_so_in_one_line(make, tmp_path):
    extra = [
        helper.make_node("Reshape", ["linear", "shape"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["scores"], axis=1),
    ]
    artefact = make.artefact(extra=extra)
    model = onnx.load_from_string(artefact.graph)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([7, 2]), "shape"))
    bundle = load(make.write(tmp_path / "b", type(artefact)(model.SerializeToString(), artefact.feeds)))
    with pytest.raises(BundleRefused, match="the graph failed on these rows") as caught:
        bundle.predict({"age": [1, 2, 3]})
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_there_are_named(ready):
    with pytest.raises(RowsRefused, match="'when'"):
        load(ready["mixed"]).answer({"age": np.ones(2), "city": np.array(["a", "b"], object)})


def test_an_unseen_category_and_missing_cells_are_answered(ready):
    bundle = load(ready["mixed"])
    rows = [
        {"age": None, "when": "", "city": "Atlantis", "note": None},
        {"age": "NA", "when": None, "city": None, "note": ""},
    ]
    assert np.isfinite(bundle.predict_proba(rows)).all()


def test_the_artefact_of_joined_models_is_refused(ready):
    with pytest.raises(BundleRefused, match="joins 2 models by rule 'blend'"):
        load(ready["blend"]).artefact()


def test_the_artefact_is_what_was_written(make, ready):
    assert load(ready["mixed"]).artefact() == make.mixed()


def test_an_artefact_of_a_bundle_changed_since_is_refused(copy):
    folder = copy("numbers")
    bundle = load(folder)
    (folder / "model.onnx").write_bytes(b"x" * (folder / "model.onnx").stat().st_size)
    with pytest.raises(BundleRefused, match=r"model\.onnx is not what the manifest says"):
        bundle.artefact()


def test_a_bundle_says_what_it_is(ready):
    bundle = load(str(ready["numbers"]))
    assert repr(bundle) == f"<Bundle 'linear' for 'late' at {ready['numbers']}>"
    assert bundle.folder == ready["numbers"]


def test_sessions_are_pinned_and_do_not_spin(ready):
    session = load(ready["numbers"], threads=2)._model._session
    options = session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_several_threads_may_ask_one_bundle(ready):
    bundle = load(ready["mixed"])
    rows = rows_for(bundle.schema, 40)
    alone = [bundle.answer_row(row).scores.tolist() for row in rows]
    found = {}

    def ask(number):
        found[number] = [bundle.answer_row(row).scores.tolist() for row in rows]

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert list(found.values()) == [alone] * 4


# ----------------------------------------------------------------------------------------------- rules

CHANCE = st.floats(0, 1)


@given(st.lists(st.tuples(CHANCE, CHANCE), min_size=1, max_size=5), st.floats(0.01, 9), st.floats(0, 9))
def test_a_blend_is_the_weighted_mean(rows, first, second):
    task = Task(problem=Problem.BINARY, target="y", aim="f1", classes=("a", "b"))
    answers = [answer_of(task, np.array([[1 - row[k], row[k]] for row in rows])) for k in (0, 1)]
    blend = apply_rule({"rule": "blend", "weights": [first, second]}, answers, task)
    mean = (first * answers[0].scores + second * answers[1].scores) / (first + second)
    assert np.allclose(blend.scores, mean)
    assert blend.decided.tolist() == blend.scores.argmax(axis=1).tolist()


@given(st.lists(CHANCE, min_size=1, max_size=9), CHANCE, st.sampled_from([0, 1]))
def test_a_threshold_decides_and_leaves_the_scores(chances, at, positive):
    task = Task(problem=Problem.BINARY, target="y", aim="f1", classes=("a", "b"))
    scores = np.array([[1 - p, p] for p in chances])
    answer = apply_rule({"rule": "threshold", "positive": positive, "at": at}, [answer_of(task, scores)], task)
    assert answer.scores is scores
    assert answer.decided.tolist() == [positive if row[positive] >= at else 1 - positive for row in scores]


@given(st.integers(1, 12), st.integers(2, 40), st.integers(0, 2**31))
def test_decisions_by_value_do_not_depend_on_the_rows_around(rows, classes, seed):
    random = np.random.default_rng(seed)
    value = tuple(map(tuple, random.integers(-3, 4, (classes, classes)).tolist()))
    task = Task(
        problem=Problem.MULTICLASS, target="y", aim="value", classes=tuple(map(str, range(classes))), value=value
    )
    scores = random.dirichlet(np.ones(classes), rows)
    together = answer_of(task, scores).decided
    assert np.allclose(
        (scores @ np.array(value)).max(axis=1),
        [(s @ np.array(value))[d] for s, d in zip(scores, together, strict=True)],
    )
    assert [answer_of(task, scores[i : i + 1]).decided[0] for i in range(rows)] == together.tolist()


@given(st.integers(1, 200), st.integers(2, 300), st.integers(0, 2**31))
def test_probabilities_are_made_to_sum_to_one_row_by_row(rows, classes, seed):
    task = Task(problem=Problem.MULTICLASS, target="y", aim="f1", classes=tuple(map(str, range(classes))))
    raw = np.random.default_rng(seed).dirichlet(np.ones(classes), rows).astype(np.float32).astype(np.float64)
    clean = running._clean(raw, task)
    assert np.abs(clean.sum(axis=1) - 1).max() < 1e-14
    assert np.abs(clean - raw).max() < 1e-6
    for row in range(min(rows, 5)):
        assert running._clean(raw[row : row + 1].copy(), task).tolist() == clean[row : row + 1].tolist()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rule": "blended", "weights": [1]}, r"no rule is named 'blended' \(did you mean 'blend'\?\)"),
        ({"rule": ["blend"]}, "no rule is named"),
        ({"rule": "blend"}, "must have 'weights' and nothing else"),
        ({"rule": "blend", "weights": [1, 1]}, "one weight for each of its 1 members"),
        ({"rule": "blend", "weights": [-1]}, "weights of 0 or more"),
        ({"rule": "blend", "weights": [0]}, "sum above 0"),
        ({"rule": "blend", "weights": [float("nan")]}, "weights of 0 or more"),
        ({"rule": "blend", "weights": 3}, "one weight"),
        ({"rule": "threshold", "positive": 2, "at": 0.5}, "0 or 1; got 2"),
        ({"rule": "threshold", "positive": True, "at": 0.5}, "0 or 1; got True"),
        ({"rule": "threshold", "positive": [], "at": 0.5}, "0 or 1"),
        ({"rule": "threshold", "positive": 1, "at": "high"}, "a number to compare with"),
        ({"rule": "threshold", "positive": 1, "at": 0.5, "why": ""}, "nothing else; got at, positive, rule, why"),
    ],
)
def test_a_rule_out_of_shape_is_refused(rule, sentence):
    task = Task(problem=Problem.BINARY, target="y", aim="f1", classes=("a", "b"))
    with pytest.raises(BundleRefused, match=sentence):
        apply_rule(rule, [Answer(np.array([[0.5, 0.5]]), np.array([0]))], task)


def test_a_threshold_on_numbers_is_refused():
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    with pytest.raises(SteelyardError, match="one member of a binary task"):
        apply_rule({"rule": "threshold", "positive": 1, "at": 1}, [answer_of(task, np.ones((1, 1)))], task)


# ------------------------------------------------------------------------------------- cost of serving

CORE = """
import sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BANNED:
            raise ImportError(f"{name} is not in the core install", name=name)
BANNED = {"onnx", "google", "sklearn", "scipy", "pandas", "polars", "pyarrow", "torch", "lightgbm", "optuna"}
sys.meta_path.insert(0, Bare())
from steelyard.bundle import load
for folder in sys.argv[1:]:
    bundle = load(folder)
    rows = [{"age": 3, "when": "2020-01-01", "city": "a", "note": "late", "photo": b""}]
    if "photo" not in {c.name for c in bundle.reads.features}:
        print(bundle.predict(rows)[0])
"""


def test_loading_and_predicting_need_the_core_install_only(ready):
    done = subprocess.run(
        [sys.executable, "-c", CORE, *map(str, ready.values())], check=True, capture_output=True, text=True
    )
    assert len(done.stdout.split()) == len(ready) - 1


def test_one_row_costs_little_more_than_its_graph(make, tmp_path):
    columns = ("age", "when", "unused")
    bundle = load(make.write(tmp_path / "b", make.artefact(columns=columns)))
    row = {"age": 3.0, "when": 1e9, "unused": None}
    session, tensor = bundle._model._session, np.array([[3.0, 1e9, np.nan]])

    def best(call):
        return min(timeit.repeat(call, number=50, repeat=40)) / 50

    graph, whole = best(lambda: session.run(("scores",), {"x": tensor})), best(lambda: bundle.answer_row(row))
    # 10 microseconds on a quiet machine; the bar leaves room for a busy one.
    assert whole - graph < 60e-6
