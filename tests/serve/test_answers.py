"""The answer of a server is that of the bundle, by every way to ask."""

import base64
import io
import struct

import numpy as np
import pytest
from PIL import Image

ROW = {"age": 33.0, "when": "2011-01-31", "city": "a", "note": "the parcel is late"}
OTHER = {"age": None, "when": 5.0, "city": None, "note": ""}
MODEL = "/v2/models/model"


def picture(colour="red", size=(9, 7)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def same(predictions, bundle, rows):
    """See that predictions of /predict are those of the bundle."""
    if bundle.task.classes:
        labels = bundle.predict(rows).tolist()
        assert [each["label"] for each in predictions] == labels
        found = [[each["probabilities"][name] for name in bundle.task.classes] for each in predictions]
        np.testing.assert_allclose(found, bundle.predict_proba(rows), rtol=1e-6)
    else:
        np.testing.assert_allclose([each["value"] for each in predictions], bundle.predict(rows), rtol=1e-6)


@pytest.mark.parametrize("name", ["numbers", "two", "mixed", "regression", "blend"])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_rows_are_answered_as_by_the_bundle(serving, opened, name, count):
    rows = [
        {**row, "unused": i, "number": "ignored"} for i, row in zip(range(count), [ROW, OTHER] * count, strict=False)
    ]
    reply = serving[name].post("/predict", json={"rows": rows})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["model"], reply.json()["version"]) == ("model", "1")
    assert reply.json()["digest"] == serving[name].deployed.served.digest
    same(reply.json()["predictions"], opened[name], rows)


def test_one_row_may_be_sent_as_it_is(serving, opened):
    reply = serving["mixed"].post("/predict", json=ROW)
    same(reply.json()["predictions"], opened["mixed"], [ROW])
    assert opened["mixed"].answer_row(ROW).scores.tolist()[0] == list(
        reply.json()["predictions"][0]["probabilities"].values()
    )


def test_images_come_as_base64_and_as_bytes(serving, opened):
    content = [picture("red"), picture("blue", (30, 30))]
    written = [base64.b64encode(each).decode() for each in content]
    rows = serving["image"].post("/predict", json={"rows": [{"photo": each} for each in written]})
    same(rows.json()["predictions"], opened["image"], [{"photo": each} for each in content])
    tensor = {"name": "photo", "datatype": "BYTES", "shape": [2, 1]}
    as_json = serving["image"].post(f"{MODEL}/infer", json={"inputs": [{**tensor, "data": written}]})
    raw = b"".join(struct.pack("<I", len(each)) + each for each in content)
    as_bytes = binary(serving["image"], [(tensor, raw)])
    wanted = opened["image"].predict_proba([{"photo": each} for each in content]).ravel()
    for reply in (as_json, as_bytes):
        np.testing.assert_allclose(outputs(reply)["scores"], wanted, rtol=1e-6)


def binary(server, tensors, *, outputs=None, parameters=None, headers=None):
    """Send tensors behind the JSON part."""
    import orjson

    inputs = [{**tensor, "parameters": {"binary_data_size": len(raw)}} for tensor, raw in tensors]
    data = {"inputs": inputs, "parameters": parameters or {}} | ({"outputs": outputs} if outputs is not None else {})
    head = orjson.dumps(data)
    headers = {"Inference-Header-Content-Length": str(len(head)), **(headers or {})}
    return server.post(f"{MODEL}/infer", content=head + b"".join(raw for _, raw in tensors), headers=headers)


def outputs(reply):
    """Return the values of the outputs by name, whichever way they came."""
    import orjson

    assert reply.status_code == 200, reply.text
    length = int(reply.headers.get("inference-header-content-length", len(reply.content)))
    data, place, found = orjson.loads(reply.content[:length]), length, {}
    for output in data["outputs"]:
        if "data" in output:
            found[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        raw, place = reply.content[place : place + size], place + size
        found[output["name"]] = strings(raw) if output["datatype"] == "BYTES" else np.frombuffer(raw, "<f8").tolist()
    assert place == len(reply.content)
    return found


def strings(raw):
    found, place = [], 0
    while place < len(raw):
        (length,) = struct.unpack_from("<I", raw, place)
        found.append(raw[place + 4 : place + 4 + length].decode())
        place += 4 + length
    return found


def columns(*, nested):
    values = {
        "age": ("FP64", [33.0, None]),
        "when": ("BYTES", ["2011-01-31", None]),
        "city": ("BYTES", ["a", None]),
        "note": ("BYTES", ["the parcel is late", ""]),
    }
    return [
        {"name": name, "datatype": kind, "shape": [2, 1], "data": [[cell] for cell in cells] if nested else cells}
        for name, (kind, cells) in values.items()
    ]


@pytest.mark.parametrize("nested", [True, False])
def test_columns_are_inputs(serving, opened, nested):
    reply = serving["mixed"].post(f"{MODEL}/infer", json={"id": "seven", "inputs": columns(nested=nested)})
    rows = [ROW, {**OTHER, "when": None}]
    found = outputs(reply)
    assert reply.json()["id"] == "seven"
    assert (reply.json()["model_name"], reply.json()["model_version"]) == ("model", "1")
    assert [(o["name"], o["datatype"], o["shape"]) for o in reply.json()["outputs"]] == [
        ("scores", "FP64", [2, 2]),
        ("label", "BYTES", [2]),
    ]
    np.testing.assert_allclose(found["scores"], opened["mixed"].predict_proba(rows).ravel(), rtol=1e-6)
    assert found["label"] == opened["mixed"].predict(rows).tolist()


def test_columns_the_model_does_not_read_are_left_aside_and_others_are_refused(serving):
    inputs = [*columns(nested=False), {"name": "unused", "datatype": "INT8", "shape": [2], "data": [1, 2]}]
    assert serving["mixed"].post(f"{MODEL}/infer", json={"inputs": inputs}).status_code == 200
    inputs[-1]["name"] = "aeg"
    reply = serving["mixed"].post(f"{MODEL}/infer", json={"inputs": inputs})
    assert reply.status_code == 400
    assert "did you mean 'age'" in reply.json()["error"]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        *((kind, [3, 70]) for kind in ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")),
        ("FP32", [0.1, 5]),
        ("FP64", [0.1, 1e10]),
        ("BOOL", [True, False]),
        ("BYTES", ["1e1", "NA"]),
    ],
)
@pytest.mark.parametrize("shape", [[2, 1], [2]])
def test_numbers_come_in_every_datatype(serving, opened, datatype, values, shape):
    tensor = {"name": "age", "datatype": datatype, "shape": shape}
    as_json = serving["numbers"].post(f"{MODEL}/infer", json={"inputs": [{**tensor, "data": values}]})
    if datatype == "BYTES":
        raw = b"".join(struct.pack("<I", len(value)) + value.encode() for value in values)
        meant = [10.0, None]
    else:
        dtype = {"FP32": "<f4", "FP64": "<f8", "BOOL": "?"}.get(datatype, datatype.lower())
        raw = np.array(values, dtype).tobytes()
        meant = np.array(values, dtype).astype(float).tolist()
    as_bytes = binary(serving["numbers"], [(tensor, raw)], parameters={"binary_data_output": True})
    wanted = opened["numbers"].predict_proba([{"age": value} for value in meant]).ravel()
    for reply in (as_json, as_bytes):
        np.testing.assert_allclose(outputs(reply)["scores"], wanted, rtol=1e-6)
    assert outputs(as_bytes)["label"] == outputs(as_json)["label"]


def test_half_floats_are_read_as_bytes_alone(serving, opened):
    tensor = {"name": "age", "datatype": "FP16", "shape": [2]}
    reply = binary(serving["numbers"], [(tensor, np.array([33.25, 7], "<f2").tobytes())])
    wanted = opened["numbers"].predict_proba({"age": [33.25, 7.0]}).ravel()
    np.testing.assert_allclose(outputs(reply)["scores"], wanted, rtol=1e-6)
    refused = serving["numbers"].post(f"{MODEL}/infer", json={"inputs": [{**tensor, "data": [33.25, 7]}]})
    assert (refused.status_code, "binary data" in refused.json()["error"]) == (400, True)


def test_whole_rows_are_one_tensor_where_all_columns_are_numbers(serving, opened):
    values = [[1.0, 2.0], [30.0, None], [float(2**40), -5]]
    tensor = {"name": "rows", "datatype": "FP64", "shape": [3, 2]}
    wanted = opened["two"].predict_proba({"age": [v[0] for v in values], "unused": [v[1] for v in values]}).ravel()
    for data in (values, [cell for row in values for cell in row]):
        reply = serving["two"].post(f"{MODEL}/infer", json={"inputs": [{**tensor, "data": data}]})
        np.testing.assert_allclose(outputs(reply)["scores"], wanted, rtol=1e-6)
    raw = np.array(values, "<f8").tobytes()
    np.testing.assert_allclose(outputs(binary(serving["two"], [(tensor, raw)]))["scores"], wanted, rtol=1e-6)
    infinite = np.array([[np.inf, 1.0]]).tobytes()
    missing = np.array([[np.nan, 1.0]]).tobytes()
    answers = [outputs(binary(serving["two"], [({**tensor, "shape": [1, 2]}, raw)])) for raw in (infinite, missing)]
    assert answers[0] == answers[1]


def test_a_predicted_number_is_the_output_value(serving, opened):
    inputs = [{"name": "age", "datatype": "FP64", "shape": [2], "data": [3, 4]}]
    found = outputs(serving["regression"].post(f"{MODEL}/infer", json={"inputs": inputs}))
    np.testing.assert_allclose(found["value"], opened["regression"].predict({"age": [3, 4]}), rtol=1e-6)
    assert list(found) == ["value"]


def test_outputs_are_chosen_each_in_its_own_way(serving):
    inputs = [{"name": "age", "datatype": "FP64", "shape": [1], "data": [3]}]
    ask = {"inputs": inputs, "outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "scores"}]}
    reply = serving["numbers"].post(f"{MODEL}/infer", json=ask)
    found = outputs(reply)
    assert list(found) == ["label", "scores"]
    assert reply.headers["content-type"] == "application/octet-stream"
    assert found["label"][0] in {"yes", "no"}


def test_a_batch_with_more_rows_than_one_may_have_is_answered_alone(start, opened):
    server = start("mixed", batch=4)
    rows = [{**ROW, "age": i} for i in range(50)]
    same(server.post("/predict", json={"rows": rows}).json()["predictions"], opened["mixed"], rows)
