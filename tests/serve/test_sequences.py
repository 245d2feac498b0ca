"""Sequences of readings, served: by both protocols, logged, described, refused."""

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Problem
from steelyard.data.sequences import to_lists
from steelyard.predictions import Query, open_store
from steelyard.recipe import Plan, Train
from steelyard.registry import learners
from steelyard.serve import Settings, make_app, parse_log
from steelyard.serve.log.inputs import Inputs
from steelyard.serve.table import Layout
from steelyard.testing.bundles import check_bundle
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

INFER = "/v2/models/model/infer"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    one = scene("sequences", Problem.BINARY)
    fitted = learners().get("linear").fit(Plan(), one.train, one.valid, one.work, Watch())
    place = tmp_path_factory.mktemp("sequences") / "bundle"
    write(place, fitted.export(), About(one.task, one.schema, Train(learner="linear"), "f1ngerpr1nt"))
    return place


@pytest.fixture(scope="session")
def bundle(folder):
    return load(folder)


@pytest.fixture(scope="session")
def cells():
    return [cell for cell in scene("sequences", Problem.BINARY).valid.columns["readings"][:6] if len(cell)]


@pytest.fixture
def server(folder, start, folders):
    folders["sequences"] = folder
    return lambda **settings: start("sequences", **settings)


def test_a_bundle_of_sequences_keeps_what_every_bundle_keeps(folder):
    check_bundle(folder)


def test_the_card_names_the_channels(folder):
    assert "drift, hum" in (folder / "card.md").read_text()


@pytest.mark.parametrize(
    "write_down", [to_lists, lambda cell: [dict(zip(("hum", "drift"), r[::-1], strict=True)) for r in to_lists(cell)]]
)
def test_rows_are_answered_as_by_the_bundle_however_readings_are_written(server, bundle, cells, write_down):
    rows = [{"readings": write_down(cell)} for cell in cells]
    reply = server().post("/predict", json={"rows": rows})
    assert reply.status_code == 200, reply.text
    got = [list(each["probabilities"].values()) for each in reply.json()["predictions"]]
    np.testing.assert_allclose(got, bundle.predict_proba([{"readings": cell} for cell in cells]), rtol=1e-6)


def test_readings_are_one_tensor_of_steps_and_channels(server, bundle, cells):
    steps = min(map(len, cells))
    tensor = np.stack([cell[:steps] for cell in cells])
    data = [[[None if np.isnan(v) else v for v in r] for r in row] for row in tensor.tolist()]
    inputs = {"name": "readings", "datatype": "FP32", "shape": list(tensor.shape), "data": data}
    reply = server().post(INFER, json={"inputs": [inputs]})
    assert reply.status_code == 200, reply.text
    scores = next(each["data"] for each in reply.json()["outputs"] if each["name"] == "scores")
    wanted = bundle.predict_proba([{"readings": row} for row in tensor])
    np.testing.assert_allclose(np.reshape(scores, wanted.shape), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([[1, 2], [3]], "reading 1 (from 0) has 1 values where 2 channels are read: drift, hum"),
        ([[1, "x"]], "holds 'x' for 'hum', which is no number"),
        ({"drift": [1]}, "lacks channel 'hum'"),
        ("abc", "no list of readings"),
    ],
)
def test_what_is_no_sequence_is_refused_by_a_sentence(server, cell, said):
    reply = server().post("/predict", json={"readings": cell})
    assert reply.status_code == 400
    assert said in reply.json()["error"]


@pytest.mark.parametrize(
    ("shape", "datatype", "said"),
    [
        ([1, 2, 3], "FP32", "must have the shape [rows, steps, 2]; got [1, 2, 3]"),
        ([1, 6], "FP32", "must have the shape [rows, steps, 2]; got [1, 6]"),
        ([1, 3, 2], "BYTES", "must be of a datatype of numbers"),
    ],
)
def test_a_tensor_that_is_no_sequence_is_refused(server, shape, datatype, said):
    data = ["x" if datatype == "BYTES" else 0.5] * 6
    inputs = {"name": "readings", "datatype": datatype, "shape": shape, "data": data}
    reply = server().post(INFER, json={"inputs": [inputs]})
    assert reply.status_code == 400
    assert said in reply.json()["error"]


def test_more_values_than_a_request_may_hold_are_refused(folder):
    from steelyard.serve.faults import Fault
    from steelyard.serve.limits import Limits
    from steelyard.serve.model import open_served
    from steelyard.serve.rows import read

    served = open_served("model", folder, threads=1)
    body = b'{"readings": [' + b"[1, 2]," * 99 + b"[1, 2]]}"
    assert len(read(served, body, Limits(elements=250))) == 1
    with pytest.raises(Fault, match="201 elements"):
        read(served, body, Limits(elements=200))


def test_the_log_keeps_how_many_readings_there_were_and_where_channels_stood(bundle):
    layout = Layout(bundle.reads)
    table = layout.of_cells([bundle.cells({"readings": [[5000, 1], [5001, None]]})])
    kept = Inputs("summary", layout).of(table, 0)
    assert kept == {
        "readings": {"steps": 2, "mean": {"drift": 5000.5, "hum": 1.0}, "last": {"drift": 5001.0, "hum": 1.0}}
    }
    assert Inputs("numbers", layout).of(table, 0) == {}
    assert Inputs("columns:readings", layout).of(table, 0) == {"readings": [[5000.0, 1.0], [5001.0, None]]}


def test_what_is_logged_comes_back(server, tmp_path):
    log = parse_log(str(tmp_path / "log.db"))
    running = server(log=log)
    assert running.post("/predict", json={"readings": [[5000, 1]]}).status_code == 200
    running.close()  # which writes what waits
    store = open_store(log.address)
    (joined,) = store.read(Query())
    store.close()
    assert joined.prediction.inputs["readings"]["last"] == {"drift": 5000.0, "hum": 1.0}


def test_the_description_says_what_a_reading_is(server):
    running = server()
    found = running.get("/openapi.json").json()["components"]["schemas"]["Row"]["properties"]["readings"]
    assert found["x-channels"] == ["drift", "hum"]
    inputs = running.get("/v2/models/model").json()["inputs"]
    assert inputs == [{"name": "readings", "datatype": "FP32", "shape": [-1, -1, 2]}]


def test_the_server_warms_up_on_a_made_up_sequence(folder):
    assert make_app(folder, Settings(no_keys=True)).repository.only.stable.served.batch >= 1
