"""Every call of the Open Inference Protocol beside inference, and the pages around it."""

import re

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

MODEL = "/v2/models/model"


def test_the_server_says_what_it_is(serving):
    told = serving["numbers"].get("/v2").json()
    assert told["name"] == "steelyard"
    assert told["extensions"] == ["binary_tensor_data", "model_configuration", "statistics", "model_repository"]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/1/ready"])
def test_it_lives_and_is_ready_and_says_so_in_json(serving, path):
    reply = serving["numbers"].get(path)
    assert reply.status_code == 200
    assert reply.json().get("ready", reply.json().get("live")) is True


def test_without_a_model_it_is_not_ready(start):
    server = start()
    server.app.repository._models.clear()
    assert server.get("/v2/health/ready").status_code == 503
    assert server.get("/v2/health/live").status_code == 200
    server.app.repository.close()


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/1"])
def test_metadata_names_the_columns_with_their_datatypes(serving, path):
    told = serving["mixed"].get(path).json()
    assert told["versions"] == ["1"]
    assert [(i["name"], i["datatype"], i["shape"]) for i in told["inputs"]] == [
        ("age", "FP64", [-1, 1]),
        ("when", "FP64", [-1, 1]),
        ("city", "BYTES", [-1, 1]),
        ("note", "BYTES", [-1, 1]),
    ]
    assert [(o["name"], o["datatype"]) for o in told["outputs"]] == [("scores", "FP64"), ("label", "BYTES")]
    assert told["parameters"]["classes"] == ["no", "yes"]


def test_the_configuration_is_in_tritons_words(serving):
    told = serving["mixed"].get(f"{MODEL}/config").json()
    assert told["max_batch_size"] == serving["mixed"].deployed.batcher.batch
    assert told["input"][2] == {"name": "city", "data_type": "TYPE_STRING", "dims": [1]}
    assert told["output"][0]["dims"] == [2]


def test_statistics_and_metrics_count_what_was_answered(start):
    server = start()
    for _ in range(3):
        server.post("/predict", json={"rows": [{"age": 1}, {"age": 2}]})
    server.post("/predict", json={"rows": [{"age": "about ten"}]})
    for path in (f"{MODEL}/stats", f"{MODEL}/versions/1/stats", "/v2/models/stats"):
        (told,) = server.get(path).json()["model_stats"]
        assert (told["inference_count"], told["inference_stats"]["success"]["count"]) == (6, 3)
    text = server.get("/metrics").text
    lines = text.splitlines()
    assert 'steelyard_requests_total{route="predict",code="200"} 3' in lines
    assert 'steelyard_requests_total{route="predict",code="400"} 1' in lines
    assert 'steelyard_errors_total{cause="rows"} 1' in lines
    assert 'steelyard_rows_total{model="model",version="1"} 6' in lines
    assert 'steelyard_batch_rows_bucket{model="model",version="1",le="2"} 3' in lines
    for family in ("request", "queue_wait", "compute"):
        assert f"# TYPE steelyard_{family}_seconds histogram" in lines
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["steelyard_compute_seconds"].type == "histogram"
    assert families["process_cpu_seconds"].samples[0].value > 0
    assert len(families) == 20


def test_the_repository_is_listed_and_stays_as_it_is(serving, start):
    server = serving["numbers"]
    listed = [{"name": "model", "version": "1", "state": "READY", "reason": ""}]
    assert server.post("/v2/repository/index").json() == listed
    for what in ("load", "unload"):
        assert server.post(f"/v2/repository/models/model/{what}", json={}).status_code == 409
        assert server.post(f"/v2/repository/models/other/{what}").status_code == 404
    off = start()
    assert off.post("/v2/repository/index").status_code == 404
    assert "--repository" in off.post("/v2/repository/models/model/load").json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/model/versions/2", 404),
        ("GET", "/v2/models/model/nothing", 404),
        ("GET", "/v2/models/model/", 404),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/models/%00/config", 404),
        ("POST", "/v2/models/model/versions/9/infer", 404),
        ("POST", "/v2", 405),
        ("GET", "/predict", 405),
        ("DELETE", "/v2/models/model", 405),
        ("PUT", f"{MODEL}/infer", 405),
    ],
)
def test_what_is_not_there_is_a_fault_of_the_client(serving, method, path, status):
    reply = serving["numbers"].client.request(method, path)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert ("allow" in reply.headers) == (status == 405)


def test_a_near_name_is_suggested(serving):
    assert "did you mean 'model'" in serving["numbers"].get("/v2/models/modle").json()["error"]


def test_head_is_answered_without_a_body(serving):
    reply = serving["numbers"].client.head("/v2/health/ready")
    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize("name", ["numbers", "mixed", "image", "regression"])
def test_the_description_holds_for_what_is_answered(serving, name):
    server = serving[name]
    told = server.get("/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    for path, calls in told["paths"].items():
        if "get" in calls:
            assert server.get(path).status_code == 200
    schema = {"$ref": "#/components/schemas/Predictions", "components": told["components"]}
    if name != "image":
        row = {"age": 3, "when": "2011-01-31", "city": None, "note": "kind"}
        row_schema = {"$ref": "#/components/schemas/Rows", "components": told["components"]}
        jsonschema.Draft202012Validator(row_schema).validate({"rows": [row]})
        jsonschema.Draft202012Validator(schema).validate(server.post("/predict", json=row).json())


def test_the_page_needs_nothing_from_elsewhere_and_names_no_model(serving):
    reply = serving["numbers"].get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert "http://" not in reply.text
    assert "https://" not in reply.text
    assert not {"late", "age"} & set(re.findall(r"\w+", reply.text))


def test_a_request_id_comes_back_or_is_made(serving):
    get = serving["numbers"].get
    assert get("/v2", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    made = {get("/v2").headers["x-request-id"], get("/v2", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]}
    assert len(made) == 2
    assert "a b\tc" not in made
