"""Requests that are generated from the descriptions of the calls; the long run is ``make fuzz-serve``."""

import copy
import importlib.util
from pathlib import Path

import pytest
from schemathesis.core.failures import FailureGroup

_spec = importlib.util.spec_from_file_location("generated", Path(__file__).with_name("generated.py"))
generated = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generated)


@pytest.mark.parametrize(
    ("name", "count"),
    [("two", 30), pytest.param("mixed", 300, marks=pytest.mark.slow)],
)
def test_no_request_makes_the_server_fail_and_every_reply_is_as_described(serving, name, count):
    server, tally = serving[name], generated.Tally()
    base = f"http://127.0.0.1:{server.port}"
    generated.run(base, count, 0, tally, generated.both(base))
    assert tally.total >= count / 2
    assert tally.ended[200]


@pytest.mark.parametrize("lie", ["status", "schema", "content type"])
def test_a_description_that_is_not_true_is_found_out(serving, lie):
    server = serving["two"]
    document = copy.deepcopy(server.get("/openapi.json").json())
    document["paths"] = {"/v2": document["paths"]["/v2"]}
    responses = document["paths"]["/v2"]["get"]["responses"]
    if lie == "status":
        responses["201"] = responses.pop("200")
    elif lie == "schema":
        document["components"]["schemas"]["Server"]["required"].append("nothing_of_the_kind")
    else:
        responses["200"]["content"] = {"text/plain": {}}
    base = f"http://127.0.0.1:{server.port}"
    with pytest.raises(FailureGroup):
        generated.run(base, 2, 0, generated.Tally(), [(document, generated.PROMISES)])


def test_a_failure_of_the_server_is_found_out(start):
    server = start("two")
    server.deployed.served.layout = None  # a defect
    base = f"http://127.0.0.1:{server.port}"
    document = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {}}
    body = {"content": {"application/json": {"schema": {"const": {"age": 1, "unused": 2}}}}, "required": True}
    document["paths"]["/predict"] = {"post": {"requestBody": body, "responses": {"200": {"description": "x"}}}}
    with pytest.raises(AssertionError, match="500"):
        generated.run(base, 2, 0, generated.Tally(), [(document, [])])
