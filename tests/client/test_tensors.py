"""Tensors survive the way there and back, whatever their type, shape and values."""

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.client.retries import Retries, seconds_of
from steelyard.client.tensors import read, write
from steelyard.datatypes import DATATYPES
from steelyard.errors import RequestInvalid, ServerRefused

NUMERIC = st.sampled_from([dtype for dtype in DATATYPES.values() if dtype.kind != "O"])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


def answered(message):
    """Turn a request into the answer that gives its inputs back."""
    length = message.json_length
    head = json.loads(message.body[:length])
    head["outputs"] = head.pop("inputs")
    written = json.dumps(head).encode()
    rest = b"" if length is None else message.body[length:]
    return written + rest, None if length is None else str(len(written))


@given(NUMERIC.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)))
def test_numbers_survive_as_bytes_bit_for_bit(array):
    found = read(*answered(write({"x": array})))[1]["x"]
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()


@given(
    NUMERIC.filter(lambda dtype: dtype != np.float16).flatmap(
        lambda dtype: hnp.arrays(dtype, SHAPES, elements={"allow_infinity": False} if dtype.kind == "f" else None)
    )
)
def test_numbers_survive_as_json(array):
    found = read(*answered(write({"x": array}, binary=False)))[1]["x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@given(hnp.arrays(object, SHAPES, elements=st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_strings_survive(array, binary):
    assert read(*answered(write({"x": array}, binary=binary)))[1]["x"].tolist() == array.tolist()


@given(st.binary(max_size=60), st.integers(0, 60))
def test_bytes_that_are_no_answer_are_refused_and_never_crash(noise, length):
    with pytest.raises(ServerRefused):
        read(noise, str(length))


@given(st.binary(max_size=40), st.integers(-5, 60), st.sampled_from(list(DATATYPES)))
def test_tensors_whose_bytes_do_not_fit_are_refused_or_have_their_shape(raw, size, datatype):
    output = {"name": "x", "datatype": datatype, "shape": [2], "parameters": {"binary_data_size": size}}
    head = json.dumps({"outputs": [output]}).encode()
    try:
        assert read(head + raw, str(len(head)))[1]["x"].shape == (2,)
    except ServerRefused as refused:
        assert "disagree" in str(refused)  # noqa: PT017 - both outcomes are right, and each is checked


def test_outputs_may_be_asked_for_by_name():
    message = write({"x": [1.0]}, outputs=["y"], parameters={"threshold": 0.5})
    head = json.loads(message.body[: message.json_length])
    assert head["outputs"] == [{"name": "y", "parameters": {"binary_data": True}}]
    assert head["parameters"] == {"threshold": 0.5}


def test_several_tensors_stand_one_after_the_other():
    inputs = {"a": np.arange(3, dtype=np.int32), "s": ["x", "yz"], "b": np.array([[True], [False]])}
    found = read(*answered(write(inputs)))[1]
    assert found["a"].tolist() == [0, 1, 2]
    assert found["s"].tolist() == ["x", "yz"]
    assert found["b"].tolist() == [[True], [False]]


def test_waits_double_are_drawn_at_random_and_end():
    retries = Retries(most=4, first=1.0, longest=3.0)
    waits = [[retries.wait(n, status=None, retry_after=None) for _ in range(200)] for n in (1, 2, 3)]
    assert [max(w) <= limit for w, limit in zip(waits, (1, 2, 3), strict=True)] == [True] * 3
    assert all(max(w) > 0.8 * limit and min(w) < 0.2 * limit for w, limit in zip(waits, (1, 2, 3), strict=True))
    assert retries.wait(5, status=503, retry_after=None) is None
    assert retries.wait(1, status=503, retry_after="31") is None
    assert retries.wait(1, status=429, retry_after="1") is None
    with pytest.raises(RequestInvalid, match="most >= 0"):
        Retries(most=-1)


def test_retry_after_may_be_a_date():
    assert seconds_of("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9
    assert seconds_of("inf") is None
    assert seconds_of("-3") == 0
