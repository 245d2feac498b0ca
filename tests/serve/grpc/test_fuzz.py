"""Whatever messages are sent, the server never fails: it answers, or says what is wrong with them."""

import os

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.serve.grpc.messages import message

Code = grpc.StatusCode
MANY = int(os.environ.get("STEELYARD_FUZZ", "2000"))
"""Requests of each property in the long run."""
FAULTS = {Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED}

texts = st.text(max_size=5)
names = st.sampled_from(["age", "unused", "rows", "when", "city", "note", "", "x" * 200]) | texts
datatypes = st.sampled_from(["FP64", "FP32", "FP16", "BYTES", "BOOL", "INT8", "INT64", "UINT8", "UINT64", "BF16", ""])
shapes = st.lists(st.integers(-1, 3) | st.sampled_from([2**31, 2**63 - 1, -(2**63)]), max_size=4)
contents = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=3),
        "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
        "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        "uint_contents": st.lists(st.integers(0, 2**32 - 1), max_size=3),
        "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=3),
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
        "fp64_contents": st.lists(st.floats(), max_size=3),
        "bytes_contents": st.lists(st.binary(max_size=4), max_size=3),
    },
)
parameters = st.dictionaries(
    st.sampled_from(["timeout", "sequence_id", "binary_data_output", "shared_memory_region", "priority", "x"]),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"bool_param": st.booleans()}),
        st.fixed_dictionaries({"int64_param": st.integers(-3, 2**40)}),
        st.fixed_dictionaries({"string_param": texts}),
        st.fixed_dictionaries({"double_param": st.floats()}),
    ),
    max_size=2,
)
tensors = st.fixed_dictionaries(
    {"name": names, "datatype": datatypes, "shape": shapes},
    optional={"contents": contents, "parameters": parameters},
)
requests = st.fixed_dictionaries(
    {"model_name": st.sampled_from(["model"] * 9 + ["other"]), "inputs": st.lists(tensors, max_size=4)},
    optional={
        "model_version": st.sampled_from(["1", "2", ""]),
        "id": texts,
        "parameters": parameters,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["scores", "label", "x"])}), max_size=2),
        "raw_input_contents": st.lists(st.binary(max_size=24), max_size=4),
    },
)
amounts = pytest.mark.parametrize("often", [40, pytest.param(MANY, marks=pytest.mark.slow)])


def times(often):
    """Return how often to draw; the quick run draws the same each time."""
    return settings(
        max_examples=often,
        deadline=None,
        derandomize=often < MANY,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def tolerable(asker, raw):
    """See that a message is answered, or refused as the client's fault."""
    call = asker.begin("ModelInfer", raw, timeout=20)
    if call.code() is Code.OK:
        return call.result()
    assert call.code() in FAULTS, (call.code(), call.details())
    assert call.details()
    return None


@amounts
@pytest.mark.parametrize("name", ["two", "mixed"])
def test_messages_of_the_protocol(asking, name, often):
    @times(often)
    @given(requests)
    def each(fields):
        tolerable(asking[name][1], message("ModelInferRequest")(**fields).SerializeToString())

    each()


@amounts
def test_bytes_that_were_cut_or_changed(asking, often):
    @times(often)
    @given(requests, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 20))
    def each(fields, changes, cut):
        raw = bytearray(message("ModelInferRequest")(**fields).SerializeToString())
        for place, byte in changes:
            if place < len(raw):
                raw[place] = byte
        tolerable(asking["mixed"][1], bytes(raw[: len(raw) - cut] if cut < 5 else raw))

    each()


@amounts
def test_what_is_valid_is_answered_as_by_the_bundle(asking, opened, often):
    number = st.floats(-1e6, 1e6) | st.just(float("nan"))

    @times(often)
    @given(st.lists(st.tuples(number, number), min_size=1, max_size=5), st.booleans())
    def each(rows, is_raw):
        block = np.array(rows)
        columns = dict(zip(("age", "unused"), block.T, strict=True))
        inputs = [
            {"name": name, "datatype": "FP64", "shape": [len(rows), 1]}
            | ({} if is_raw else {"contents": {"fp64_contents": values.tolist()}})
            for name, values in columns.items()
        ]
        raw = [values.astype("<f8").tobytes() for values in columns.values()] if is_raw else []
        request = message("ModelInferRequest")(model_name="model", inputs=inputs, raw_input_contents=raw)
        response = tolerable(asking["two"][1], request.SerializeToString())
        assert response is not None
        scores = (
            np.frombuffer(response.raw_output_contents[0], "<f8")
            if is_raw
            else np.array(response.outputs[0].contents.fp64_contents)
        )
        wanted = opened["two"].predict_proba({name: values.tolist() for name, values in columns.items()})
        np.testing.assert_allclose(scores, wanted.ravel(), rtol=1e-6)

    each()
