"""Versions are loaded and unloaded by gRPC as they are by HTTP: a parameter names the one."""

import grpc
import pytest

from steelyard.serve import Key, Releasing, Scope, Watching
from steelyard.serve.grpc.messages import message
from steelyard.serve.releases import shelve

Code = grpc.StatusCode
ADMIN, USUAL = "a" * 20, "u" * 20
KEYS = (Key.of(ADMIN, frozenset({Scope.ADMIN, Scope.READ})), Key.of(USUAL))
QUIET = Releasing(stable="1", watching=Watching(enabled=False))


@pytest.fixture
def shelved(maker, folders, both, tmp_path, monkeypatch):
    """Return a function that starts a server of a shelf of two versions, and gives it with one that asks."""
    for seed in (1, 2):
        shelve(maker.write(tmp_path / f"made-{seed}", maker.artefact(seed=seed)), tmp_path / "shelf", version=str(seed))
    monkeypatch.setitem(folders, "shelf", tmp_path / "shelf")
    return lambda **settings: both("shelf", repository=True, releasing=QUIET, **settings)


def of(**values):
    """Return parameters as Triton's clients send them."""
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", bytes: "bytes_param"}
    return {"parameters": {name: {kinds[type(value)]: value} for name, value in values.items()}}


def test_a_version_that_a_parameter_names_is_loaded_and_unloaded(shelved):
    server, asker = shelved()
    asker.call("RepositoryModelLoad", model_name="model", **of(version="2"))
    assert server.get("/releases").json()["stable"] == "2"
    asker.call("RepositoryModelLoad", model_name="model", **of(version=1))
    assert server.get("/releases").json()["stable"] == "1"
    asker.call("RepositoryModelUnload", model_name="model", **of(version="2"))
    first = server.get("/releases/log").json()["switches"][0]
    assert (first["version"], first["action"], first["why"]) == ("2", "retire", "repository unload")


def test_clients_of_triton_name_a_version_by_its_policy(shelved):
    server, asker = shelved()
    policy = '{"version_policy": {"specific": {"versions": [2]}}}'
    asker.call("RepositoryModelLoad", model_name="model", **of(config=policy))
    assert server.get("/releases").json()["stable"] == "2"
    asker.call("RepositoryModelLoad", model_name="model", **of(version="1"))
    asker.call("RepositoryModelUnload", model_name="model", **of(version="2", unload_dependents=False))
    load = "/v2/repository/models/model/load"
    assert server.post(load, json={"parameters": {"config": policy}}).status_code == 200
    assert server.get("/releases").json()["stable"] == "2"


def test_the_list_holds_what_is_on_the_shelf_as_over_http(shelved):
    server, asker = shelved()
    for ready, count in ((False, 2), (True, 1)):
        told = asker.call("RepositoryIndex", ready=ready).models
        rest = server.post("/v2/repository/index", json={"ready": ready}).json()
        assert [(m.name, m.version, m.state, m.reason) for m in told] == [
            (m["name"], m["version"], m["state"], m["reason"]) for m in rest
        ]
        assert len(told) == count


@pytest.mark.parametrize(
    ("given", "code", "word"),
    [
        ({}, Code.INVALID_ARGUMENT, "say which version"),
        (of(config="{}"), Code.INVALID_ARGUMENT, "'config' is not taken"),
        (of(config="{"), Code.INVALID_ARGUMENT, "no valid JSON"),
        (of(config='{"version_policy": {"latest": {"num_versions": 1}}}'), Code.INVALID_ARGUMENT, "'config'"),
        (of(config='{"version_policy": {"specific": {"versions": [1, 2]}}}'), Code.INVALID_ARGUMENT, "'config'"),
        (
            of(config='{"version_policy": {"specific": {"versions": [2]}}, "backend": "python"}'),
            Code.INVALID_ARGUMENT,
            "say which version",
        ),
        (of(config="{}", version="2"), Code.INVALID_ARGUMENT, "say which version"),
        ({"parameters": {"file:1/model.onnx": {"bytes_param": b"x"}}}, Code.INVALID_ARGUMENT, "is not taken"),
        (of(version=True), Code.INVALID_ARGUMENT, "say which version"),
        (of(version=b"2"), Code.INVALID_ARGUMENT, "say which version"),
        ({"parameters": {"version": {}}}, Code.INVALID_ARGUMENT, "say which version"),
        (of(version="../2"), Code.NOT_FOUND, "no version is called"),
        (of(version="9"), Code.FAILED_PRECONDITION, "9"),
    ],
)
def test_a_client_names_a_version_and_nothing_else(shelved, given, code, word):
    server, asker = shelved()
    found, said = asker.fault("RepositoryModelLoad", model_name="model", **given)
    assert (found, word in said) == (code, True), said
    assert server.get("/releases").json()["stable"] == "1"


def test_only_a_key_for_it_switches(shelved):
    server, asker = shelved(keys=KEYS)
    usual, admin = ((("x-api-key", key),) for key in (USUAL, ADMIN))
    request = {"model_name": "model", **of(version="2")}
    assert asker.fault("RepositoryModelLoad", metadata=usual, **request)[0] is Code.PERMISSION_DENIED
    asker.call("RepositoryModelLoad", metadata=admin, **request)
    told = server.get("/releases/log", headers={"X-API-Key": ADMIN}).json()["switches"][0]
    assert (told["version"], told["who"]) == ("2", KEYS[0].digest[:12])


def test_the_messages_are_tritons_on_the_wire():
    made = message("RepositoryModelLoadRequest")(model_name="m", **of(version="2"))
    assert made.SerializeToString() == b"\x12\x01m\x1a\x0e\n\x07version\x12\x03\x1a\x012"
