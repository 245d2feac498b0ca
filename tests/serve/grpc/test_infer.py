"""Tensors over gRPC: every way to send them is answered as the bundle answers, and what is wrong with them is said."""

import struct

import grpc
import numpy as np
import pytest

from steelyard.datatypes import DATATYPES, pack
from steelyard.serve.grpc.messages import message

Code = grpc.StatusCode
AGES = [3.0, 40.0, 71.0]


def outputs_of(response):
    """Return the outputs as arrays and lists, whichever way they came."""
    found = {}
    for place, output in enumerate(response.outputs):
        if not response.raw_output_contents:
            values = list(output.contents.bytes_contents) or list(output.contents.fp64_contents)
        elif output.datatype == "FP64":
            values = np.frombuffer(response.raw_output_contents[place], "<f8")
        else:
            values = response.raw_output_contents[place]
        found[output.name] = (output.datatype, list(output.shape), values)
    return found


@pytest.mark.parametrize(
    ("datatype", "field"),
    [
        ("FP64", "fp64_contents"),
        ("FP32", "fp32_contents"),
        ("INT8", "int_contents"),
        ("INT16", "int_contents"),
        ("INT32", "int_contents"),
        ("INT64", "int64_contents"),
        ("UINT8", "uint_contents"),
        ("UINT16", "uint_contents"),
        ("UINT32", "uint_contents"),
        ("UINT64", "uint64_contents"),
    ],
)
def test_numbers_of_every_datatype_are_answered_as_by_the_bundle(asking, opened, request_of, datatype, field):
    _, asker = asking["numbers"]
    wanted = opened["numbers"].predict_proba({"age": AGES})
    values = AGES if datatype.startswith("FP") else [round(age) for age in AGES]
    typed = asker.call("ModelInfer", request_of([("age", datatype, [3, 1], field, values)], id="seven"))
    assert (typed.model_name, typed.model_version, typed.id) == ("model", "1", "seven")
    assert not typed.raw_output_contents
    found = outputs_of(typed)
    assert found["scores"][:2] == ("FP64", [3, 2])
    np.testing.assert_array_equal(np.reshape(found["scores"][2], (3, 2)), wanted)
    assert [label.decode() for label in found["label"][2]] == opened["numbers"].predict({"age": AGES}).tolist()
    raw = np.array(values, DATATYPES[datatype]).tobytes()
    answered = asker.call("ModelInfer", request_of([("age", datatype, [3], None, None)], raw=[raw]))
    np.testing.assert_array_equal(outputs_of(answered)["scores"][2].reshape(3, 2), wanted)
    labels = [label.encode() for label in opened["numbers"].predict({"age": AGES}).tolist()]
    assert outputs_of(answered)["label"] == ("BYTES", [3], pack(labels))


def test_half_floats_are_read_raw_alone(asking, opened, request_of):
    _, asker = asking["numbers"]
    raw = np.array(AGES, "<f2").tobytes()
    answered = asker.call("ModelInfer", request_of([("age", "FP16", [3], None, None)], raw=[raw]))
    np.testing.assert_array_equal(
        outputs_of(answered)["scores"][2].reshape(3, 2), opened["numbers"].predict_proba({"age": AGES})
    )
    code, said = asker.fault("ModelInfer", request_of([("age", "FP16", [1], "fp32_contents", [1])]))
    assert (code, "raw_input_contents" in said) == (Code.INVALID_ARGUMENT, True)


def test_columns_of_text_and_truth_values(asking, opened, request_of):
    _, asker = asking["mixed"]
    rows = {"age": [3.0, None], "when": [1.3e9, 1.4e9], "city": ["a", "b"], "note": ["late", ""]}
    wanted = opened["mixed"].predict_proba(rows)
    answered = asker.call(
        "ModelInfer",
        request_of(
            [
                ("age", "FP64", [2, 1], "fp64_contents", [3, float("nan")]),
                ("when", "FP64", [2], "fp64_contents", rows["when"]),
                ("city", "BYTES", [2, 1], "bytes_contents", [b"a", b"b"]),
                ("note", "BYTES", [2], "bytes_contents", [b"late", b""]),
            ],
            outputs=[{"name": "scores"}],
        ),
    )
    assert [output.name for output in answered.outputs] == ["scores"]
    np.testing.assert_array_equal(np.reshape(outputs_of(answered)["scores"][2], (2, 2)), wanted)
    _, numbers = asking["numbers"]
    answered = numbers.call("ModelInfer", request_of([("age", "BOOL", [2], "bool_contents", [True, False])]))
    np.testing.assert_array_equal(
        np.reshape(outputs_of(answered)["scores"][2], (2, 2)), opened["numbers"].predict_proba({"age": [1.0, 0.0]})
    )


def test_a_value_is_answered_as_a_value(asking, opened, request_of):
    _, asker = asking["regression"]
    answered = asker.call("ModelInfer", request_of([("age", "FP64", [3], "fp64_contents", AGES)]))
    assert outputs_of(answered)["value"] == ("FP64", [3], opened["regression"].predict({"age": AGES}).tolist())


def test_rows_may_be_one_tensor(asking, opened, request_of):
    _, asker = asking["two"]
    block = np.array([[3.0, 1.0], [40.0, 2.0]])
    answered = asker.call("ModelInfer", request_of([("rows", "FP64", [2, 2], None, None)], raw=[block.tobytes()]))
    wanted = opened["two"].predict_proba({"age": block[:, 0], "unused": block[:, 1]})
    np.testing.assert_allclose(outputs_of(answered)["scores"][2].reshape(2, 2), wanted, rtol=1e-6)


def parameter(**choice):
    return message("InferParameter")(**choice)


WRONG = {
    "no inputs": ([], {}, "lacks the inputs"),
    "no datatype": ([("age", "", [1], "fp64_contents", [1])], {}, "no known datatype"),
    "an unknown datatype": ([("age", "BF16", [1], "fp64_contents", [1])], {}, "no known datatype"),
    "no shape": ([("age", "FP64", [], "fp64_contents", [1])], {}, "needs a shape"),
    "a side of nothing": ([("age", "FP64", [0], "fp64_contents", [])], {}, "above 0"),
    "a side below nothing": ([("age", "FP64", [-1], "fp64_contents", [1])], {}, "above 0"),
    "a huge side": ([("age", "FP64", [2**62, 2**62], "fp64_contents", [1])], {}, "the most is"),
    "too few values": ([("age", "FP64", [2], "fp64_contents", [1])], {}, "has 1 values"),
    "no values": ([("age", "FP64", [1], None, None)], {}, "has 0 values"),
    "values of another field": ([("age", "FP64", [1], "fp32_contents", [1])], {}, "fp32_contents, not fp64"),
    "a number out of range": ([("age", "INT8", [1], "int_contents", [300])], {}, "out of the range"),
    "text for a number": ([("age", "BYTES", [1], "bytes_contents", [b"about ten"])], {}, "age"),
    "bytes that are no text": ([("age", "BYTES", [1], "bytes_contents", [b"\xff"])], {}, "not UTF-8"),
    "an unknown input": ([("agee", "FP64", [1], "fp64_contents", [1])], {}, "did you mean 'age'"),
    "an input that comes twice": ([("age", "FP64", [1], "fp64_contents", [1])] * 2, {}, "comes twice"),
    "raw bytes that are cut": ([("age", "FP64", [1], None, None)], {"raw": [b"1234567"]}, "has 7 bytes"),
    "raw strings that lie": ([("age", "BYTES", [1], None, None)], {"raw": [b"\xff\0\0\0a"]}, "do not hold"),
    "more raw than inputs": ([("age", "FP64", [1], None, None)], {"raw": [b"", b""]}, "2 entries for 1"),
    "raw and typed": ([("age", "FP64", [1], "fp64_contents", [1])], {"raw": [b"12345678"]}, "both"),
    "an unknown output": ([("age", "FP64", [1], "fp64_contents", [1])], {"outputs": [{"name": "x"}]}, "no output"),
    "a sequence": (
        [("age", "FP64", [1], "fp64_contents", [1])],
        {"parameters": {"sequence_id": parameter(int64_param=3)}},
        "sequence_id",
    ),
    "a timeout that is no number": (
        [("age", "FP64", [1], "fp64_contents", [1])],
        {"parameters": {"timeout": parameter(string_param="soon")}},
        "timeout",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_request_is_said(asking, request_of, what):
    inputs, more, sentence = WRONG[what]
    server, asker = asking["numbers"]
    before = sum(server.errors().values())
    code, said = asker.fault("ModelInfer", request_of(inputs, **more))
    assert code in {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED}
    assert (code is Code.RESOURCE_EXHAUSTED) == (what == "a huge side")
    assert sentence in said
    assert sum(server.errors().values()) == before + 1


def test_shared_memory_is_refused(asking, request_of):
    _, asker = asking["numbers"]
    request = request_of([("age", "FP64", [1], None, None)])
    request.inputs[0].parameters["shared_memory_region"].string_param = "mine"
    assert "not supported" in asker.fault("ModelInfer", request)[1]


@pytest.mark.parametrize("raw", [b"\xff\xff", b"\x0a\x02\xff\xfe", b"\x2a\x05abc", struct.pack("<Q", 2**63)])
def test_bytes_that_are_no_message_are_the_clients_fault(asking, raw):
    server, asker = asking["numbers"]
    before = server.errors().get("malformed", 0)
    code, said = asker.fault("ModelInfer", raw=raw)
    assert (code, said) == (Code.INVALID_ARGUMENT, "the bytes are no ModelInferRequest of the protocol")
    assert server.errors()["malformed"] == before + 1


def test_a_stream_answers_its_requests_in_order_and_goes_on_after_a_fault(both, opened, request_of):
    server, asker = both()
    sent = [request_of([("age", "FP64", [1], "fp64_contents", [age])], id=str(age)) for age in AGES]
    sent.insert(1, request_of([], id="bad"))
    sent.append(b"\xff")
    told = list(asker.stream(iter(sent), timeout=20))
    assert [each.infer_response.id for each in told] == ["3.0", "bad", "40.0", "71.0", ""]
    assert ["lacks the inputs" in each.error_message for each in told] == [False, True, False, False, False]
    assert "no ModelInferRequest" in told[4].error_message
    good = [told[place].infer_response for place in (0, 2, 3)]
    wanted = opened["numbers"].predict_proba({"age": AGES})
    np.testing.assert_allclose([outputs_of(each)["scores"][2] for each in good], wanted, rtol=1e-6)
    assert server.app.metrics.requests["grpc_stream", 200].value == 1
    assert server.app.metrics.requests["grpc_infer", 200].value == 3
    assert server.app.metrics.requests["grpc_infer", 400].value == 2
