"""Every call of the protocol over gRPC: what it answers, and that it is what REST answers."""

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from steelyard.serve import Key, Scope
from steelyard.serve.grpc.messages import SERVICE, message

Code = grpc.StatusCode
ADMIN, READER = "a" * 20, "r" * 20
KEYS = (Key.of(ADMIN, frozenset({Scope.ADMIN})), Key.of(READER, frozenset({Scope.READ})))


def test_it_lives_and_is_ready(both):
    server, asker = both()
    assert asker.call("ServerLive").live
    assert asker.call("ServerReady").ready
    assert asker.call("ModelReady", name="model").ready
    assert asker.call("ModelReady", name="model", version="1").ready
    endpoints = dict(server.app.repository._models)
    server.app.repository._models.clear()
    assert not asker.call("ServerReady").ready
    server.app.repository._models.update(endpoints)


def test_metadata_configuration_and_statistics_say_what_rest_says(both, request_of):
    server, asker = both("mixed", repository=True)
    told = asker.call("ServerMetadata")
    assert (told.name, list(told.extensions)) == ("steelyard", server.get("/v2").json()["extensions"])
    rest = server.get("/v2/models/model").json()
    told = asker.call("ModelMetadata", name="model")
    assert (told.name, list(told.versions), told.platform) == (rest["name"], rest["versions"], rest["platform"])
    for side in ("inputs", "outputs"):
        assert [(t.name, t.datatype, list(t.shape)) for t in getattr(told, side)] == [
            (t["name"], t["datatype"], t["shape"]) for t in rest[side]
        ]
    rest = server.get("/v2/models/model/config").json()
    told = MessageToDict(asker.call("ModelConfig", name="model").config, preserving_proto_field_name=True)
    assert told["max_batch_size"] == rest["max_batch_size"]
    assert told["input"][2] == {"name": "city", "data_type": "TYPE_STRING", "dims": ["1"]}
    assert told["output"][0] == {"name": "scores", "data_type": "TYPE_FP64", "dims": ["2"]}
    assert told["instance_group"] == [{"name": "model", "kind": "KIND_CPU", "count": 1}]
    server.post("/predict", json={"rows": [{"age": 1, "when": "2011-01-31", "city": "a", "note": "b"}] * 2})
    for fields in ({}, {"name": "model"}, {"name": "model", "version": "1"}):
        (told,) = asker.call("ModelStatistics", **fields).model_stats
        assert (told.inference_count, told.execution_count, told.inference_stats.success.count) == (2, 1, 1)
        assert told.inference_stats.compute_infer.ns > 0


def test_the_repository_is_listed_and_stays_as_it_is(both):
    _, asker = both(repository=True)
    (listed,) = asker.call("RepositoryIndex").models
    assert (listed.name, listed.version, listed.state) == ("model", "1", "READY")
    for what in ("RepositoryModelLoad", "RepositoryModelUnload"):
        assert asker.fault(what, model_name="model")[0] is Code.FAILED_PRECONDITION
        assert asker.fault(what, model_name="other")[0] is Code.NOT_FOUND
    _, off = both()
    code, said = off.fault("RepositoryIndex")
    assert (code, "--repository" in said) == (Code.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("ModelReady", {"name": "other"}),
        ("ModelMetadata", {"name": "model", "version": "2"}),
        ("ModelConfig", {"name": ""}),
        ("ModelStatistics", {"name": "modle"}),
        ("ModelInfer", {"model_name": "../etc"}),
    ],
)
def test_a_model_that_is_not_there_is_not_found(both, call, fields):
    server, asker = both()
    code, said = asker.fault(call, **fields)
    assert code is Code.NOT_FOUND
    assert "model" in said
    assert server.errors() == {"not_found": 1}


def test_a_key_opens_what_its_scopes_say(both):
    server, asker = both(keys=KEYS, repository=True)
    assert asker.call("ServerLive").live
    assert asker.call("ServerReady").ready
    assert asker.fault("ServerMetadata") == (
        Code.UNAUTHENTICATED,
        "give a key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
    )
    wrong = (("authorization", "Bearer " + "x" * 20),)
    assert asker.fault("ModelInfer", raw=b"", metadata=wrong)[0] is Code.UNAUTHENTICATED
    reader = (("x-api-key", READER),)
    assert asker.call("ServerMetadata", metadata=reader).name == "steelyard"
    assert asker.call("ServerMetadata", metadata=(("authorization", f"Bearer {READER}"),)).name == "steelyard"
    assert asker.fault("ModelInfer", metadata=reader)[0] is Code.PERMISSION_DENIED
    assert asker.fault("RepositoryIndex", metadata=reader)[0] is Code.PERMISSION_DENIED
    assert asker.call("RepositoryIndex", metadata=(("x-api-key", ADMIN),)).models
    twice = (("x-api-key", READER), ("x-api-key", ADMIN))
    assert asker.fault("ServerMetadata", metadata=twice)[0] is Code.INVALID_ARGUMENT
    assert server.errors() == {"no_key": 2, "scope": 2, "malformed": 1}


def test_a_call_that_is_not_served_is_not_implemented_and_is_counted(both):
    server, asker = both()
    ask = asker.channel.unary_unary("/inference.GRPCInferenceService/SystemSharedMemoryStatus")
    with pytest.raises(grpc.RpcError) as caught:
        ask(b"", timeout=20)
    assert caught.value.code() is Code.UNIMPLEMENTED
    assert server.app.metrics.requests["grpc_other", 404].value == 1


def test_requests_are_counted_logged_and_carry_an_id(both, request_of, capsys):
    server, asker = both(log_share=1.0)
    good = request_of([("age", "FP64", [1], "fp64_contents", [3])])
    ask = asker.begin("ModelInfer", good, timeout=20, metadata=(("x-request-id", "mine-1"),))
    ask.result()
    assert dict(ask.trailing_metadata())["x-request-id"] == "mine-1"
    refused = asker.begin("ModelInfer", request_of([]), timeout=20)
    assert refused.code() is Code.INVALID_ARGUMENT
    assert dict(refused.trailing_metadata())["x-request-id"]
    lines = server.get("/metrics").text.splitlines()
    assert 'steelyard_requests_total{route="grpc_infer",code="200"} 1' in lines
    assert 'steelyard_requests_total{route="grpc_infer",code="400"} 1' in lines
    assert 'steelyard_request_seconds_count{route="grpc_infer"} 2' in lines
    said = capsys.readouterr().err
    assert '"id":"mine-1","method":"GRPC","path":"/inference.GRPCInferenceService/ModelInfer","status":200' in said


def test_clusters_ask_by_grpcs_own_health_protocol_whether_requests_may_come(both):
    server, asker = both(keys=KEYS)
    request = message("HealthCheckRequest", "grpc.health.v1")
    response = message("HealthCheckResponse", "grpc.health.v1")
    ask = asker.channel.unary_unary("/grpc.health.v1.Health/Check", response_deserializer=response.FromString)

    def status(service=""):
        return response.ServingStatus.Name(ask(request(service=service).SerializeToString(), timeout=20).status)

    assert status() == status(SERVICE) == "SERVING"
    endpoints = dict(server.app.repository._models)
    server.app.repository._models.clear()
    assert status() == "NOT_SERVING"
    server.app.repository._models.update(endpoints)
    with pytest.raises(grpc.RpcError) as caught:
        status("other")
    assert caught.value.code() is Code.NOT_FOUND
    assert ask(b"", timeout=20).SerializeToString() == b"\x08\x01"
