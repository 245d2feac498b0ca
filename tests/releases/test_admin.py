"""Who may switch versions, and what a client can say that does not name one."""

import json

import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import Key, Releasing, Scope, Settings, Watching, make_app
from steelyard.serve.keys import who

ADMIN, USUAL = "a" * 20, "u" * 20
KEYS = (Key.of(ADMIN, frozenset({Scope.ADMIN})), Key.of(USUAL))
CALLS = [
    ("GET", "/releases"),
    ("GET", "/releases/log"),
    ("POST", "/releases/2/promote"),
    ("POST", "/releases/2/canary"),
    ("POST", "/releases/2/shadow"),
    ("POST", "/releases/2/retire"),
    ("POST", "/releases/rollback"),
    ("POST", "/v2/repository/models/model/load"),
    ("POST", "/v2/repository/models/model/unload"),
    ("POST", "/v2/repository/index"),
]


@pytest.fixture(scope="module")
def standing(a_server):
    """A server that is not to be changed."""
    yield from a_server()


@pytest.fixture(scope="module")
def locked(a_server):
    """A server with keys."""
    yield from a_server(keys=KEYS, no_keys=False)


@pytest.fixture(scope="module")
def silent(a_server):
    """A server that was not asked to have versions switched."""
    yield from a_server(repository=False)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_only_a_key_for_it_may_see_and_switch_versions(locked, method, path):
    server = locked
    assert server.client.request(method, path).status_code == 401
    assert server.client.request(method, path, headers={"X-API-Key": USUAL}).status_code == 403
    assert server.client.request(method, path, headers={"X-API-Key": ADMIN}).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_nothing_is_answered_unless_it_was_asked_for(silent, method, path):
    reply = silent.client.request(method, path)
    assert reply.status_code == 404
    assert "--repository" in reply.json()["error"]


def test_the_log_names_a_key_by_the_beginning_of_its_digest(shelf, start):
    server = start(shelf, keys=KEYS)
    told = server.post("/releases/2/promote", headers={"Authorization": f"Bearer {ADMIN}"}).json()
    assert told["applied"]["who"] == KEYS[0].digest[:12] == who({b"x-api-key": ADMIN.encode()})
    assert ADMIN not in (shelf / "switches.jsonl").read_text()


def test_a_page_of_another_site_switches_nothing(shelf, start):
    server = start(shelf)
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://[", ""):
        reply = server.post("/releases/2/promote", headers={"Origin": origin})
        assert reply.status_code == 403
        body = json.dumps({"parameters": {"version": "2"}})
        assert (
            server.post("/v2/repository/models/model/load", content=body, headers={"Origin": origin}).status_code == 403
        )
    here = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.post("/releases/2/promote", headers=here).status_code == 200


STRANGE = [
    "..",
    ".",
    "%2e%2e",
    "..%2f..%2fetc",
    "2%2f..%2f3",
    "%00",
    "2%00",
    "a%5cb",
    "C:",
    "2 ",
    "-2",
    "\u00e9",
    "x" * 65,
]


@pytest.mark.parametrize("name", [*STRANGE, "https:%2f%2fevil.example%2fm", "s3:%2f%2fb%2fm", "file:%2f%2f%2fetc"])
def test_what_is_no_name_of_a_version_never_reaches_the_disk(standing, monkeypatch, name):
    server = standing
    monkeypatch.setattr(server.app.board.opener, "open", lambda *_, **__: pytest.fail("it was opened"))
    for action, body in (("promote", {}), ("canary", {"share": 0.5}), ("shadow", {}), ("retire", {})):
        reply = server.post(f"/releases/{name}/{action}", json=body)
        assert reply.status_code in {404, 409}, (action, reply.text)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("2/promote", {"share": 0.5}, "promote takes no 'share'"),
        ("2/promote", {"url": "s3://bucket"}, "promote takes no 'url'"),
        ("2/canary", {}, "needs its share"),
        ("2/canary", {"share": 0}, "needs its share"),
        ("2/canary", {"share": 1.5}, "needs its share"),
        ("2/canary", {"share": True}, "needs its share"),
        ("2/canary", {"share": "all"}, "needs its share"),
        ("2/canary", {"shar": 0.1}, "did you mean 'share'"),
        ("2/promote", {"why": "two\nlines"}, "a line of text"),
        ("2/promote", {"why": "x" * 501}, "a line of text"),
        ("2/promote", {"why": 3}, "a line of text"),
        ("rollback", {"why": None}, "a line of text"),
        ("rollback", [1], "must be a JSON object"),
    ],
)
def test_a_body_says_nothing_but_what_is_taken(standing, path, body, said):
    reply = standing.post(f"/releases/{path}", json=body)
    assert (reply.status_code, said in reply.json()["error"]) == (400, True), reply.text


def test_a_plain_bundle_has_no_versions_to_switch(bundles, start):
    server = start(bundles["1"], stable="", watching=Watching())
    for path in ("/releases/2/promote", "/releases/rollback"):
        reply = server.post(path)
        assert (reply.status_code, "serve a shelf" in reply.json()["error"]) == (409, True)
    assert server.get("/releases").status_code == 409
    assert "steelyard_release" not in server.get("/metrics").text


@pytest.mark.parametrize(
    ("releasing", "option"),
    [
        (Releasing(stable="1"), "--stable"),
        (Releasing(watching=Watching(min_requests=30)), "--watch"),
    ],
)
def test_what_a_plain_bundle_cannot_honour_is_refused(bundles, releasing, option):
    with pytest.raises(ServingRefused, match=f"is no shelf of versions, as {option} need"):
        make_app(bundles["1"], Settings(no_keys=True, releasing=releasing))


def test_the_state_of_a_plain_bundle_is_refused(bundles, tmp_path):
    with pytest.raises(ServingRefused, match="--state"):
        make_app(bundles["1"], Settings(no_keys=True, releasing=Releasing(state=tmp_path)))


# ------------------------------------------------------------------------------------- the protocol's repository


def of(version):
    return {"parameters": {"version": version}}


def test_the_repository_lists_every_version_and_loads_and_unloads_them(shelf, start):
    server = start(shelf)
    load, unload = (f"/v2/repository/models/model/{what}" for what in ("load", "unload"))
    assert [
        (each["version"], each["state"], each["reason"]) for each in server.post("/v2/repository/index").json()
    ] == [
        ("1", "READY", "stable"),
        ("2", "UNAVAILABLE", "on the shelf"),
        ("3", "UNAVAILABLE", "on the shelf"),
    ]
    assert len(server.post("/v2/repository/index", json={"ready": True}).json()) == 1
    assert server.post(load, json=of("2")).status_code == 200
    assert server.version() == "2"
    assert server.post(load, json=of(3)).json() == {}
    assert server.version() == "3"
    assert server.post(unload, json=of("2")).status_code == 200
    assert "another one first" in server.post(unload, json=of("3")).json()["error"]
    assert server.post("/v2/repository/models/other/load", json=of("2")).status_code == 404
    assert server.get("/releases/log").json()["switches"][0]["why"] == "repository unload"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"parameters": {}}, 400),
        ({"parameters": []}, 400),
        ({"parameters": {"version": None}}, 400),
        ({"parameters": {"version": True}}, 400),
        ({"parameters": {"config": "{}", "version": "2"}}, 400),
        ({"parameters": {"file:2/model.onnx": "AAAA"}}, 400),
        (of("../2"), 404),
        (of("https://evil.example/model"), 404),
        (of(-2), 404),
        (of("9"), 409),
    ],
)
def test_a_client_of_the_repository_names_a_version_and_nothing_else(standing, body, status):
    server = standing
    reply = server.post("/v2/repository/models/model/load", json=body)
    assert reply.status_code == status, reply.text
    assert server.get("/releases").json()["stable"] == "1"
