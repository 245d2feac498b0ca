"""What is used today joins a run: weighed on the same rows, decided on like any other, kept where it wins."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import steelyard as sy
from steelyard.api import bundle_folder, exit_code, resume
from steelyard.errors import DataUnfit, Exit, RunUnreadable, SteelyardError
from steelyard.recipe import Given, digest, from_json, to_json
from steelyard.search.incumbent import after_asking


def table(rows=400, seed=0):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    truth = a + b > 0.3
    past = np.where(random.random(rows) < 0.9, truth, ~truth)
    words = np.array(["no", "yes"])
    return {
        "a": a.tolist(),
        "b": b.tolist(),
        "desk": words[past.astype(int)].tolist(),
        "chance": np.clip(past * 0.6 + 0.2, 0, 1).tolist(),
        "bought": words[truth.astype(int)].tolist(),
    }


def run(folder, incumbent, *, learners=("constant", "linear"), ignore=("chance", "desk"), data=None, **given):
    spec = {
        "data": table() if data is None else data,
        "target": "bought",
        "positive": "yes",
        "columns": {"ignore": [name for name in ignore if name not in incumbent.values()]},
        "learners": {"only": list(learners)},
        "levers": {"only": []},
        "quality": {"metric": "balanced_accuracy"},
        "budget": {"trials": len(learners)},
        "incumbent": incumbent,
    } | given
    return sy.run(sy.Spec(**spec), out=folder, in_process=True)


def row(done, name="incumbent"):
    return next(row for row in done.report["trials"] if row["title"] == name)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Return the bundle of a run on other rows."""
    place = tmp_path_factory.mktemp("earlier") / "run"
    return bundle_folder(run(place, {"column": "desk", "per_call": 0}, data=table(300, seed=1)).folder)


def test_a_recipe_of_what_is_given_survives_json():
    recipe = Given(name="old", kind="bundle", mark="ab12", reads=("a", "b"))
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe
    assert digest(recipe) != digest(Given(name="old", kind="bundle", mark="ab13", reads=("a", "b")))


def test_past_decisions_are_judged_on_the_same_rows_and_no_model_reads_them(tmp_path):
    done = run(tmp_path / "run", {"column": "desk", "scores": "chance", "per_call": "0.50 USD", "name": "the desk"})
    dataset, desk = done.dataset, row(done, "the desk")
    assert {column.name for column in dataset.schema.columns} == {"a", "b"}
    data = table()
    where = dataset.rows.rows[dataset.partition.validation]
    right = [data["desk"][i] == data["bought"][i] for i in where]
    assert desk["validation"]["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert desk["cost_per_million"] == 500_000
    assert desk["figures"]["cost_per_million"]["how"] == "assumed"
    assert desk["latency_ms"]["p95"] is None
    assert "roc_auc" in desk["validation"]
    assert any("the desk, which is used today" in reason for reason in done.report["decision"]["reasons"])
    assert desk["number"] == 0
    assert len(done.report["trials"]) == 3  # what is used today takes nothing from the budget of trials


def test_decisions_without_scores_are_not_judged_by_metrics_of_scores(tmp_path):
    done = run(tmp_path / "run", {"column": "desk", "per_call": 0}, quality={"metric": "roc_auc"})
    refused = row(done)
    assert refused["ending"] == "refused"
    assert "roc_auc is of scores" in refused["note"]
    assert done.report["decision"]["number"] != refused["number"]


def test_past_decisions_that_win_are_kept_and_nothing_ships(tmp_path):
    done = run(tmp_path / "run", {"column": "desk", "per_call": 1, "name": "the desk"}, learners=("constant",))
    decision = done.report["decision"]
    assert decision["title"] == "the desk"
    assert decision["bundle"] is None
    assert decision["test"]["balanced_accuracy"]["value"] > 0.8
    assert decision["reasons"][-1].startswith("Keep what you have: of all that was weighed here, the desk")
    assert exit_code(done) is Exit.DONE
    with pytest.raises(RunUnreadable, match="keeps what is used today"):
        bundle_folder(done.folder)
    again = resume(done.folder)
    assert again.report["decision"] == decision
    assert "Keep what you have: the desk" in (done.folder / "report.html").read_text()
    assert "none: what is used today stays where it is" in (done.folder / "card.md").read_text()


def test_a_run_that_was_stopped_goes_on_with_what_it_was_given(tmp_path):
    """The frame of past decisions is gone by then: what was brought in lies in the run's folder."""
    done = run(tmp_path / "run", {"column": "desk", "per_call": 1})
    events = done.folder / "events.jsonl"
    kept = events.read_bytes().splitlines(keepends=True)
    ended = next(i for i, line in enumerate(kept) if b'"ended"' in line)
    events.write_bytes(b"".join(kept[: ended + 1]))
    again = sy.run(done.spec, resume=done.folder, in_process=True)
    assert again.report["decision"]["title"] == done.report["decision"]["title"]
    assert row(again)["validation"] == row(done)["validation"]
    assert [r["number"] for r in again.report["trials"] if r["title"] == "incumbent"] == [0]


def test_an_endpoint_is_not_asked_for_more_than_the_budget(tmp_path):
    dataset = run(tmp_path / "run", {"column": "desk", "per_call": 0}, learners=("constant",)).dataset
    asked = {"endpoint": "http://127.0.0.1:9", "model": "m", "per_call": "0.10 USD"}
    spec = sy.Spec(data="a.csv", target="bought", incumbent=asked, budget={"money": "90 USD"})
    rows = len(dataset.partition.scored) + len(dataset.partition.test) + 410
    assert str(after_asking(spec, dataset).money) == f"{90 - rows / 10:.2f} USD"
    with pytest.raises(SteelyardError, match=rf"may cost {rows / 10:.2f} USD, and budget\.money is 5\.00 USD"):
        after_asking(spec.model_copy(update={"budget": sy.Budget(money="5 USD")}), dataset)


def test_a_target_of_latency_is_not_met_by_what_has_none(tmp_path):
    done = run(tmp_path / "run", {"column": "desk", "per_call": 0}, learners=("constant",), latency_p95_ms=1000)
    assert done.report["decision"]["title"] == "constant"


def test_a_bundle_is_weighed_like_any_other_and_ships_where_it_wins(tmp_path, earlier):
    done = run(tmp_path / "run", {"bundle": str(earlier)}, learners=("constant",))
    decision = done.report["decision"]
    assert decision["title"] == "incumbent"
    assert decision["latency_ms"]["p95"] > 0
    assert decision["refitted"] is False
    assert (bundle_folder(done.folder) / "model.onnx").read_bytes() == (earlier / "model.onnx").read_bytes()
    held = done.dataset.rows.take(done.dataset.partition.test)
    answer = done.bundle.answer(held.columns)
    recall = [np.mean(answer.decided[held.target == k] == k) for k in (0, 1)]
    assert decision["test"]["balanced_accuracy"]["value"] == pytest.approx(np.mean(recall))
    assert any("is not known here" in note for note in done.report["notes"])


def test_an_onnx_file_with_its_columns_answers_as_its_bundle(tmp_path, earlier):
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["raw"]), helper.make_node("Sigmoid", ["raw"], ["p"])],
        "theirs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.float32([[2], [2]]), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    (tmp_path / "theirs.onnx").write_bytes(model.SerializeToString())
    done = run(tmp_path / "run", {"onnx": str(tmp_path / "theirs.onnx"), "columns": ["a", "b"]})
    data, dataset = table(), done.dataset
    where = dataset.rows.rows[dataset.partition.validation]
    right = [(data["a"][i] + data["b"][i] > 0) == (data["bought"][i] == "yes") for i in where]
    assert row(done)["validation"]["accuracy"]["value"] == pytest.approx(np.mean(right))


def test_a_bundle_that_saw_the_rows_that_choose_is_refused(tmp_path):
    first = run(tmp_path / "first", {"column": "desk", "per_call": 0})
    with pytest.raises(SteelyardError, match="was trained on these very rows"):
        run(tmp_path / "second", {"bundle": str(bundle_folder(first.folder))})


@pytest.mark.parametrize(
    ("incumbent", "said"),
    [
        ({"bundle": "nowhere"}, "there is no incumbent at"),
        ({"column": "dsk", "per_call": 0}, "did you mean 'desk'"),
        ({"column": "a", "per_call": 0}, "which is no class of 'bought'"),
        ({"column": "desk", "scores": "b", "per_call": 0}, "outside of 0 to 1"),
        ({"column": "desk", "scores": "bought", "per_call": 0}, "which the spec uses otherwise"),
        ({"endpoint": "http://127.0.0.1:9", "model": "m", "per_call": 0, "columns": ["c"]}, "reads column 'c'"),
    ],
)
def test_what_cannot_be_weighed_is_refused_before_anything_is_trained(tmp_path, incumbent, said):
    with pytest.raises(SteelyardError, match=said):
        run(tmp_path / "run", incumbent)


def test_a_row_without_a_past_decision_stops_the_run(tmp_path):
    data = table()
    data["desk"][3] = None
    with pytest.raises(DataUnfit, match="holds no decision in 1 rows"):
        run(tmp_path / "run", {"column": "desk", "per_call": 0}, data=data)


class Protocol(BaseHTTPRequestHandler):
    """A server of the Open Inference Protocol that knows the truth by its own rule."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        inputs = [{"name": name, "datatype": "FP32", "shape": [-1, 1]} for name in ("a", "b")]
        self.say({"name": "old", "inputs": inputs, "parameters": {"classes": ["yes", "no"]}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        columns = {one["name"]: one["data"] for one in asked["inputs"]}
        total = np.array(columns["a"]) + np.array(columns["b"])
        self.server.rows += len(total)
        yes = 1 / (1 + np.exp(-5 * total))
        scores = np.stack([yes, 1 - yes], axis=1)
        self.say(
            {
                "model_name": "old",
                "outputs": [
                    {"name": "p", "datatype": "FP64", "shape": list(scores.shape), "data": scores.ravel().tolist()}
                ],
            }
        )

    def say(self, data):
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Protocol)
    made.rows = 0
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def test_an_endpoint_is_asked_over_http_and_its_calls_are_in_the_ledger(tmp_path, server):
    pytest.importorskip("httpx")
    address = f"http://127.0.0.1:{server.server_address[1]}"
    asked = {"endpoint": address, "model": "old", "per_call": "0.001 USD"}
    done = run(tmp_path / "run", asked, learners=("constant",), quality={"metric": "roc_auc"})
    decision = done.report["decision"]
    assert decision["title"] == "incumbent"
    assert decision["bundle"] is None
    assert decision["validation"]["roc_auc"]["value"] > 0.95
    assert decision["figures"]["latency_p95_ms"]["source"].endswith(f"over the network to {address}")
    assert decision["cost_per_million"] == 1000
    (entry,) = [e for e in done.report["ledger"]["entries"] if e["kind"] == "serving"]
    assert float(entry["quantity"]) == server.rows
    assert entry["how"] == "assumed"
    assert done.report["ledger"]["totals"]["serving"] == pytest.approx(server.rows * 0.001)


def test_an_endpoint_that_says_nothing_is_refused_and_the_run_goes_on(tmp_path):
    pytest.importorskip("httpx")
    done = run(tmp_path / "run", {"endpoint": "http://127.0.0.1:9", "model": "old", "per_call": 0})
    assert row(done)["ending"] == "refused"
    assert done.report["decision"]["title"] == "linear"


def test_a_regression_is_held_against_past_values(tmp_path):
    random = np.random.default_rng(0)
    a = random.normal(size=300)
    price = 3 * a + random.normal(scale=1.5, size=300) + 50
    guess = price + random.normal(scale=3, size=300)
    data = {"a": a.tolist(), "guess": guess.tolist(), "price": price.tolist()}
    spec = sy.Spec(
        data=data,
        target="price",
        learners={"only": ["constant", "linear"]},
        levers={"only": []},
        budget={"trials": 2},
        incumbent={"column": "guess", "per_call": 0},
    )
    done = sy.run(spec, out=tmp_path / "run", in_process=True)
    where = done.dataset.rows.rows[done.dataset.partition.validation]
    assert row(done)["validation"]["rmse"]["value"] == pytest.approx(np.sqrt(np.mean((guess - price)[where] ** 2)))
    assert done.report["decision"]["title"] == "linear"


def test_classes_of_a_bundle_in_another_order_are_put_right():
    from types import SimpleNamespace

    from steelyard.contracts import Answer, Problem, Task
    from steelyard.search.given import in_order_of

    task = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
    theirs = SimpleNamespace(classes=("c", "a", "b"))
    answer = in_order_of(task, theirs, Answer(np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]), np.array([0, 2])))
    assert answer.scores.tolist() == [[0.3, 0.1, 0.6], [0.2, 0.7, 0.1]]
    assert answer.decided.tolist() == [2, 1]
