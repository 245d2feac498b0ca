"""`steelyard import`: pipelines and ONNX files become bundles that answer as before, or are refused."""

import csv

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.adopt.bringing import bring
from steelyard.bundle import load
from steelyard.errors import BundleRefused, MissingExtra

COLUMNS = ("age", "income", "job")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="") as out:
        write = csv.writer(out)
        write.writerow([*COLUMNS, "wage", "risk"])
        for _ in range(240):
            age, income = random.normal(40, 10), random.normal(5e4, 2e4)
            job = random.choice(["clerk", "nurse", "pilot"])
            risk = "high" if age + (10 if job == "pilot" else 0) + random.normal(0, 5) > 45 else "low"
            write.writerow([age, income, job, income / 12 + age, risk])
    return path


def frame(rows):
    pandas = pytest.importorskip("pandas")
    return pandas.read_csv(rows)


def saved(model, folder):
    import joblib

    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


def pipeline(rows):
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = frame(rows)
    parts = [("n", StandardScaler(), ["age", "income"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["job"])]
    return make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(table[list(COLUMNS)], table["risk"])


def test_a_pipeline_of_mixed_columns_answers_as_before(rows, tmp_path):
    pytest.importorskip("skl2onnx")
    model = pipeline(rows)
    made = bring(saved(model, tmp_path), rows, "risk", tmp_path / "bundle", trust=True)
    assert made.worst < 1e-5
    one = {"age": 50.0, "income": 4e4, "job": "pilot"}
    pandas = pytest.importorskip("pandas")
    own = model.predict_proba(pandas.DataFrame([one]))[0]
    assert load(tmp_path / "bundle").predict_proba([one])[0] == pytest.approx(own, abs=1e-5)
    assert made.bundle.task.classes == ("high", "low")
    assert [column.name for column in made.bundle.reads.columns] == list(COLUMNS)


def test_a_forest_behind_a_scaler_is_sent_down_the_same_branches(rows, tmp_path):
    pytest.importorskip("skl2onnx")
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = frame(rows)
    model = make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0))
    model.fit(table[["age", "income"]].to_numpy(), table["wage"])
    place = saved(model, tmp_path)
    made = bring(place, rows, "wage", tmp_path / "bundle", columns=("age", "income"), trust=True)
    assert made.worst < 1e-5
    assert made.to_json()["unit"] == "standard deviations of the answers"
    with pytest.raises(BundleRefused, match="name them in its order with --columns"):
        bring(place, rows, "wage", tmp_path / "other", trust=True)


def test_a_pickle_is_not_loaded_without_trust(rows, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    place = saved(Trap(), tmp_path)
    with pytest.raises(BundleRefused, match="runs the code in it; add --trust"):
        bring(place, rows, "risk", tmp_path / "bundle")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04\x95"])
def test_a_damaged_pickle_is_one_sentence(rows, tmp_path, content):
    (tmp_path / "model.joblib").write_bytes(content)
    with pytest.raises(BundleRefused, match="cannot be loaded"):
        bring(tmp_path / "model.joblib", rows, "risk", tmp_path / "bundle", trust=True)


def test_a_skops_file_is_read_or_its_extra_is_named(rows, tmp_path):
    (tmp_path / "model.skops").write_bytes(b"junk")
    with pytest.raises((BundleRefused, MissingExtra), match=r"cannot be loaded|steelyard\[pipelines\]"):
        bring(tmp_path / "model.skops", rows, "risk", tmp_path / "bundle")


def test_a_pipeline_that_differs_as_a_bundle_is_refused_and_not_kept(rows, tmp_path, monkeypatch):
    pytest.importorskip("skl2onnx")
    from steelyard.adopt import pipelines

    true = pipelines.answers
    monkeypatch.setattr(pipelines, "answers", lambda *args: true(*args) + np.array([[0.001, -0.001]]))
    with pytest.raises(BundleRefused, match=r"differs from model\.joblib by up to 0\.001 in probability"):
        bring(saved(pipeline(rows), tmp_path), rows, "risk", tmp_path / "bundle", trust=True)
    assert not (tmp_path / "bundle").exists()


def graph(*, inputs, nodes, outputs, constants=()):
    made = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info(*one) for one in inputs],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(made, opset_imports=opsets)
    model.ir_version = 8
    return model.SerializeToString()


def logistic(output="scores", *, shape=("n", 1)):
    """Return the probability of high risk from the age alone, under a name that bundles use themselves."""
    return graph(
        inputs=[("x", TensorProto.FLOAT, ["n", 1])],
        constants=[("w", np.float32([[0.2]])), ("b", np.float32([-9]))],
        nodes=[
            helper.make_node("Gemm", ["x", "w", "b"], ["raw"]),
            helper.make_node("Sigmoid", ["raw"], [output]),
        ],
        outputs=[helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))],
    )


def test_one_probability_becomes_two_in_the_order_that_is_said(rows, tmp_path):
    (tmp_path / "theirs.onnx").write_bytes(logistic())
    made = bring(tmp_path / "theirs.onnx", rows, "risk", tmp_path / "bundle", columns=("age",), classes=("low", "high"))
    found = made.bundle.predict_proba([{"age": 50}])[0]
    assert found == pytest.approx([1 / (1 + np.exp(-1)), 1 - 1 / (1 + np.exp(-1))], abs=1e-6)  # high, low


def test_inputs_by_column_are_matched_by_name_and_classes_by_their_labels(rows, tmp_path):
    """Two columns, named the other way round than asked for; a ZipMap with labels in its own order."""
    nodes = [
        helper.make_node("Sub", ["age", "income"], ["gap"]),
        helper.make_node("Sigmoid", ["gap"], ["low"]),
        helper.make_node("Sub", ["one", "low"], ["high"]),
        helper.make_node("Concat", ["low", "high"], ["double"], axis=1),
        helper.make_node("Cast", ["double"], ["both"], to=TensorProto.FLOAT),
        helper.make_node("ZipMap", ["both"], ["named"], domain="ai.onnx.ml", classlabels_strings=["low", "high"]),
    ]
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("named", helper.make_sequence_type_proto(kind))
    ends = [("income", TensorProto.DOUBLE, [None, 1]), ("age", TensorProto.DOUBLE, [None, 1])]
    constants = [("one", np.float64([[1]]))]
    (tmp_path / "theirs.onnx").write_bytes(graph(inputs=ends, nodes=nodes, outputs=[output], constants=constants))
    made = bring(tmp_path / "theirs.onnx", rows, "risk", tmp_path / "bundle", columns=("age", "income"))
    high, low = made.bundle.predict_proba([{"age": 3.0, "income": 1.0}])[0]
    assert low == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert high == pytest.approx(1 - low)
    assert "ZipMap" not in {node.op_type for node in onnx.load(tmp_path / "bundle" / "model.onnx").graph.node}


@pytest.mark.parametrize(
    ("content", "given", "said"),
    [
        (b"junk", (("age",), ()), "no ONNX model"),
        (logistic(), ((), ()), "name them in its order"),
        (logistic(), (("age", "income"), ()), "takes 1 columns, and 2 are named"),
        (logistic(), (("job",), ()), "takes numbers for column 'job'"),
        (logistic(), (("agee",), ()), "did you mean 'age'"),
        (logistic(), (("age",), ("yes", "no")), "the model's classes are yes, no"),
    ],
)
def test_an_onnx_file_that_does_not_fit_is_one_sentence(rows, tmp_path, content, given, said):
    (tmp_path / "theirs.onnx").write_bytes(content)
    with pytest.raises(BundleRefused, match=said) as caught:
        bring(tmp_path / "theirs.onnx", rows, "risk", tmp_path / "bundle", columns=given[0], classes=given[1])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()


def test_three_classes_in_another_order_are_put_right(rows, tmp_path):
    """The model says pilot, clerk, nurse; a rotation is no swap, so the wrong way round would show."""
    ends = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])]
    nodes = [helper.make_node("Gemm", ["x", "w"], ["raw"]), helper.make_node("Softmax", ["raw"], ["probabilities"])]
    weights = [("w", np.float32([[0.1, 0.2, 0.4]]))]
    content = graph(inputs=[("x", TensorProto.FLOAT, ["n", 1])], nodes=nodes, outputs=ends, constants=weights)
    (tmp_path / "theirs.onnx").write_bytes(content)
    made = bring(
        tmp_path / "theirs.onnx",
        rows,
        "job",
        tmp_path / "bundle",
        columns=("age",),
        classes=("pilot", "clerk", "nurse"),
    )
    found = made.bundle.predict_proba([{"age": 10.0}])[0]
    pilot, clerk, nurse = np.exp([1, 2, 4]) / np.exp([1, 2, 4]).sum()
    assert made.bundle.task.classes == ("clerk", "nurse", "pilot")
    assert found == pytest.approx([clerk, nurse, pilot], abs=1e-6)
