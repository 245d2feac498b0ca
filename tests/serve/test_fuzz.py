"""Whatever tensors are sent, the server never fails: it answers, or says what is wrong with them."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

INFER = "/v2/models/model/infer"
MANY = int(os.environ.get("STEELYARD_FUZZ", "2000"))
"""Requests of each property in the long run."""

sides = st.one_of(
    st.integers(-2, 4), st.sampled_from([2**31, 2**63, -(2**63), 10**30]), st.floats(), st.none(), st.text(max_size=2)
)
shapes = st.one_of(st.lists(sides, max_size=4), st.sampled_from([[1], [2], [1, 1], [2, 1], [2, 2], 1, "1", None, {}]))
datatypes = st.one_of(
    st.sampled_from(["FP64", "FP32", "BYTES", "BOOL", "INT8", "INT64", "UINT8", "UINT64", "FP16", "fp64"]),
    st.none(),
    st.integers(),
)
cells = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**25), 10**25),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.sampled_from(["NA", "1e400", "2011-01-31", 1e308, -1e308]),
)
data = st.recursive(st.lists(cells, max_size=6), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
names = st.sampled_from(["age", "unused", "rows", "when", "city", "note", "photo", "", "x" * 200])
anything = st.recursive(cells, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
anything |= st.dictionaries(st.text(max_size=3), cells, max_size=2)
parameters = st.one_of(
    st.dictionaries(
        st.sampled_from(["binary_data_size", "binary_data", "binary_data_output", "timeout", "sequence_id", "x"]),
        st.one_of(st.integers(-3, 40), st.booleans(), anything),
        max_size=2,
    ),
    anything,
)
tensors = st.fixed_dictionaries(
    {"name": names, "shape": shapes, "datatype": datatypes, "data": st.one_of(data, anything)},
    optional={"parameters": parameters},
)
bodies = st.fixed_dictionaries(
    {"inputs": st.one_of(st.lists(tensors, max_size=4), anything)},
    optional={
        "id": anything,
        "parameters": parameters,
        "outputs": st.one_of(st.lists(st.fixed_dictionaries({"name": anything}, optional={"parameters": parameters}))),
    },
)
amounts = pytest.mark.parametrize("often", [25, pytest.param(MANY, marks=pytest.mark.slow)])


def times(often):
    """Return how often to draw; the quick run draws the same each time."""
    return settings(
        max_examples=often,
        deadline=None,
        derandomize=often < MANY,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def tolerable(reply):
    """See that a reply is an answer, or a sentence about the client's fault."""
    assert reply.status_code == 200 or 400 <= reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code != 200:
        assert list(reply.json()) == ["error"]
        assert reply.json()["error"]
    return reply


@amounts
@pytest.mark.parametrize("name", ["two", "mixed"])
def test_json_tensors(serving, name, often):
    @times(often)
    @given(bodies)
    def each(body):
        tolerable(serving[name].post(INFER, content=json.dumps(body)))

    each()


@amounts
@pytest.mark.parametrize("name", ["two", "mixed", "image"])
def test_rows(serving, name, often):
    column = st.sampled_from(["age", "unused", "when", "city", "note", "photo", "rows"])
    row = st.dictionaries(column, anything, max_size=5)

    @times(often)
    @given(st.one_of(row, st.fixed_dictionaries({"rows": st.one_of(st.lists(st.one_of(row, anything)), anything)})))
    def each(body):
        tolerable(serving[name].post("/predict", content=json.dumps(body)))

    each()


@amounts
@pytest.mark.parametrize("name", ["two", "mixed", "image"])
def test_binary_tensors(serving, name, often):
    """Lengths that lie, bodies that are cut, bytes that are left over."""
    columns = {"two": ["age", "unused", "rows"], "mixed": ["age", "when", "city", "note"], "image": ["photo"]}[name]
    tensor = st.tuples(
        st.sampled_from(columns),
        st.lists(st.integers(0, 3), min_size=1, max_size=2),
        st.sampled_from(["FP64", "FP32", "BYTES", "BOOL", "INT16"]),
        st.one_of(st.none(), st.integers(-1, 40), st.just(2**63)),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\x01\0\0\0a", b"\xff\xff\xff\xff", b"\0\0\0\0" * 4])),
    )

    @times(often)
    @given(
        st.lists(tensor, max_size=4),
        st.one_of(st.none(), st.integers(-2, 2)),
        st.integers(0, 10),
        st.one_of(st.none(), st.sampled_from([b"", b"x", b"-1", b"1e3", b"9" * 40, b"\xb2"])),
    )
    def each(sent, shift, cut, header):
        inputs, raw = [], b""
        for column, shape, datatype, size, content in sent:
            told = len(content) if size is None else size
            inputs.append(
                {"name": column, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": told}}
            )
            raw += content
        head = json.dumps({"inputs": inputs}).encode()
        body = head + raw
        length = str(len(head) + (shift or 0)).encode() if header is None else header
        headers = {b"Inference-Header-Content-Length": length}
        tolerable(serving[name].post(INFER, content=body[: len(body) - cut] if cut < 5 else body, headers=headers))

    each()


@amounts
def test_what_is_valid_is_answered_as_by_the_bundle(serving, opened, often):
    number = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6))

    @times(often)
    @given(st.lists(st.tuples(number, number), min_size=1, max_size=5), st.booleans(), st.booleans())
    def each(rows, nested, as_block):
        pairs = [list(row) for row in rows]
        flat = [cell for row in pairs for cell in row]
        if as_block:
            values = pairs if nested else flat
            inputs = [{"name": "rows", "datatype": "FP64", "shape": [len(rows), 2], "data": values}]
        else:
            inputs = [
                {
                    "name": name,
                    "datatype": "FP64",
                    "shape": [len(rows), 1],
                    "data": [[row[i]] if nested else row[i] for row in pairs],
                }
                for i, name in enumerate(("age", "unused"))
            ]
        reply = serving["two"].post(INFER, json={"inputs": inputs})
        asked = {"age": [row[0] for row in pairs], "unused": [row[1] for row in pairs]}
        wanted = opened["two"].predict_proba(asked).ravel()
        np.testing.assert_allclose(reply.json()["outputs"][0]["data"], wanted, rtol=1e-6)

    each()
