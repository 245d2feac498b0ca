"""Requests are made of real rows, or of what the server says of its model."""

import json

import numpy as np
import pytest

from steelyard.datatypes import LENGTH
from steelyard.errors import DataUnreadable, RequestInvalid, ServerRefused
from steelyard.load import Protocol, Target, what_to_send
from steelyard.load.bodies import Input, inputs_of, made_up, messages, rows_of

TARGET = Target.parse("http://127.0.0.1:1")
INPUTS = [Input("age", "FP64", (-1, 1)), Input("job", "BYTES", (-1, 1)), Input("paid", "BOOL", (-1,))]
ROWS = [{"age": 51.5, "job": "cook", "paid": True}, {"age": None, "job": None, "paid": False}]


def body_of(message):
    head, _, body = message.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return head, body


def made(protocol, rows=ROWS, inputs=INPUTS, batch=1):
    return messages(TARGET, rows, protocol=protocol, model="m x", inputs=inputs, batch=batch)


def test_rows_go_to_predict_as_they_are():
    head, body = body_of(made(Protocol.PREDICT)[0])
    assert head.startswith(b"POST /predict HTTP/1.1")
    assert json.loads(body) == {"rows": [ROWS[0]]}


def test_batches_are_filled_up_from_the_first_rows():
    rows = [{"a": i} for i in range(5)]
    bodies = [json.loads(body_of(m)[1]) for m in made(Protocol.PREDICT, rows=rows, batch=2)]
    assert [[row["a"] for row in b["rows"]] for b in bodies] == [[0, 1], [2, 3], [4, 0]]
    with pytest.raises(RequestInvalid, match="at least one row"):
        made(Protocol.PREDICT, batch=0)


def test_tensors_as_json_have_the_shapes_of_the_metadata():
    head, body = body_of(made(Protocol.V2, batch=2)[0])
    assert head.startswith(b"POST /v2/models/m%20x/infer HTTP/1.1")
    age, job, paid = json.loads(body)["inputs"]
    assert age == {"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [51.5, None]}
    assert job == {"name": "job", "shape": [2, 1], "datatype": "BYTES", "data": ["cook", None]}
    assert paid == {"name": "paid", "shape": [2], "datatype": "BOOL", "data": [True, False]}


def test_tensors_as_bytes_say_where_json_ends():
    head, body = body_of(made(Protocol.V2_BINARY, batch=2)[0])
    length = int(next(h for h in head.split(b"\r\n") if h.startswith(LENGTH.encode())).split(b": ")[1])
    data = json.loads(body[:length])
    assert data["parameters"] == {"binary_data_output": True}
    assert [i["parameters"]["binary_data_size"] for i in data["inputs"]] == [16, 12, 2]
    assert np.frombuffer(body[length : length + 16])[0] == 51.5


def test_numerals_become_numbers_where_the_model_reads_numbers():
    rows = rows_of({"age": ["3", "", "x"], "job": ["7", "8", "9"]}, INPUTS)
    assert rows == [{"age": 3.0, "job": "7"}, {"age": None, "job": "8"}, {"age": "x", "job": "9"}]
    with pytest.raises(RequestInvalid, match="no rows"):
        rows_of({"age": []})


def test_rows_that_the_model_cannot_read_are_refused_with_the_column():
    with pytest.raises(RequestInvalid, match=r"no column 'age' \(did you mean 'agee'\?\)"):
        made(Protocol.V2, rows=[{"agee": 1}])
    with pytest.raises(RequestInvalid, match="column 'age' does not fit"):
        made(Protocol.V2, rows=[{"age": "old", "job": "x", "paid": True}])
    with pytest.raises(RequestInvalid, match=r"column 'n' does not fit.*missing"):
        made(Protocol.V2, rows=[{"n": None}], inputs=[Input("n", "INT64", (-1,))])
    with pytest.raises(RequestInvalid, match="shape"):
        made(Protocol.V2, rows=[{"n": 1.0}], inputs=[Input("n", "FP32", (-1, 3))])


def test_made_up_rows_have_the_types_of_the_model_and_fit_every_protocol():
    inputs = [*INPUTS, Input("count", "INT32", (-1,)), Input("picture", "FP32", (-1, 2, 2))]
    rows = made_up(inputs, seed=1)
    assert rows == made_up(inputs, seed=1)
    assert isinstance(rows[0]["job"], str)
    assert isinstance(rows[0]["paid"], bool)
    assert len(rows[0]["picture"]) == 4
    for protocol in Protocol:
        assert len(made(protocol, rows=rows, inputs=inputs)) == len(rows)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ([], "name no inputs"),
        ({"inputs": [{"name": "a"}]}, "name no inputs"),
        ({"inputs": [{"name": "a", "datatype": "FP8", "shape": [1]}]}, "'a' are of no datatype"),
    ],
)
def test_metadata_that_break_the_protocol_are_refused(metadata, said):
    with pytest.raises(ServerRefused, match=said):
        inputs_of(metadata)


def test_rows_come_from_a_file_or_from_the_metadata(server, tmp_path):
    server.metadata = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [-1, 1]}]}
    target = Target.parse(server.url, key="k")
    sent = what_to_send(target, protocol=Protocol.PREDICT, model="", rows=None, batch=1, seed=0)
    assert len(sent) == 100
    assert server.heads[0][0] == "GET /v2/models/model HTTP/1.1"
    assert "Authorization: Bearer k" in server.heads[0]
    file = tmp_path / "rows.csv"
    file.write_text("age,job\n41,cook\n42,nurse\n")
    (first, second) = what_to_send(target, protocol=Protocol.PREDICT, model="", rows=file, batch=1, seed=0)
    assert json.loads(body_of(first)[1]) == {"rows": [{"age": "41", "job": "cook"}]}
    (first, second) = what_to_send(target, protocol=Protocol.V2, model="other", rows=file, batch=1, seed=0)
    assert json.loads(body_of(second)[1])["inputs"][0]["data"] == [42.0]
    assert server.heads[-1][0] == "GET /v2/models/other HTTP/1.1"
    with pytest.raises(DataUnreadable, match="there is no file"):
        what_to_send(target, protocol=Protocol.PREDICT, model="", rows=tmp_path / "no.csv", batch=1, seed=0)
