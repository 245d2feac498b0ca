"""What an operator can call stands in the description of all calls, where it is answered and nowhere else."""

import pytest
from jsonschema import Draft202012Validator

from steelyard.serve import Watching
from steelyard.serve.releases.roles import Action

INDEX = "/v2/repository/index"
OURS = {
    "/releases": "get",
    "/releases/log": "get",
    "/releases/rollback": "post",
    "/releases/{version}/promote": "post",
    "/releases/{version}/canary": "post",
    "/releases/{version}/shadow": "post",
    "/releases/{version}/retire": "post",
    INDEX: "post",
    "/v2/repository/models/model/load": "post",
    "/v2/repository/models/model/unload": "post",
}
TOLD_APART = ("/releases", "/v2/repository")


def operators_paths(server):
    """Return the calls of an operator that a server tells of, by path."""
    paths = server.get("/openapi.json").json()["paths"]
    return {path: calls for path, calls in paths.items() if path.startswith(TOLD_APART)}


def said(call, reply):
    """Check an answer against what its description promises."""
    promised = call["responses"][str(reply.status_code)]["content"]["application/json"]["schema"]
    if "$ref" not in promised:
        Draft202012Validator(promised).validate(reply.json())
    return reply


def test_a_shelf_tells_of_every_call_and_asks_for_the_scope_that_opens_it(shelf, start):
    told = operators_paths(start(shelf))
    assert {path: next(name for name in calls if name != "parameters") for path, calls in told.items()} == OURS
    for path, method in OURS.items():
        assert told[path][method]["security"] == [{"bearer": ["admin"]}, {"header": ["admin"]}]
        assert ("409" in told[path][method]["responses"]) == (method == "post")


def test_nothing_is_told_where_it_was_not_asked_for(shelf, start):
    assert operators_paths(start(shelf, repository=False)) == {}


def test_a_plain_bundle_tells_of_the_list_alone(bundles, start):
    assert set(operators_paths(start(bundles["1"], stable="", watching=Watching()))) == {INDEX}


def test_every_answer_is_what_its_description_promises(shelf, start):
    server = start(shelf)
    told = operators_paths(server)
    said(told["/releases/{version}/canary"]["post"], server.post("/releases/2/canary", json={"share": 0.5, "why": "a"}))
    said(told["/releases/{version}/shadow"]["post"], server.post("/releases/3/shadow"))
    said(told["/releases/{version}/retire"]["post"], server.post("/releases/3/retire", json={}))
    said(told["/releases/{version}/promote"]["post"], server.post("/releases/2/promote"))
    assert said(told["/releases/rollback"]["post"], server.post("/releases/rollback")).status_code == 200
    assert said(told["/releases/rollback"]["post"], server.post("/releases/rollback")).status_code == 409
    assert len(said(told["/releases/log"]["get"], server.get("/releases/log")).json()["switches"]) == 6
    assert len(said(told["/releases"]["get"], server.get("/releases")).json()["versions"]) == 3
    assert len(said(told[INDEX]["post"], server.post(INDEX)).json()) == 3
    load = "/v2/repository/models/model/load"
    for version in ("3", 2):
        said(told[load]["post"], server.post(load, json={"parameters": {"version": version}}))
    assert server.version() == "2"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/releases/2/promote", {"share": 0.5}),
        ("/releases/2/canary", {}),
        ("/releases/2/canary", {"share": 0}),
        ("/releases/2/canary", {"share": 2}),
        ("/releases/rollback", {"why": "x" * 501}),
        ("/v2/repository/models/model/load", {"parameters": {}}),
    ],
)
def test_a_body_that_the_description_refuses_is_refused(shelf, start, path, body):
    server = start(shelf)
    call = operators_paths(server)[path.replace("/2/", "/{version}/")]["post"]
    schema = call["requestBody"]["content"]["application/json"]["schema"]
    assert not Draft202012Validator(schema).is_valid(body)
    assert server.post(path, json=body).status_code == 400


def test_every_kind_of_switch_is_told(shelf, start):
    told = operators_paths(start(shelf))
    assert {str(action) for action in Action} <= {path.rpartition("/")[2] for path in told}
