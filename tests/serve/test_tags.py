"""A tagger that is served: lists of tokens or text in, tags and entities out, by every protocol and into the log."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import httpx
import jsonschema
import numpy as np
import pytest

from steelyard.bundle import About, Joined, load, write
from steelyard.predictions import Query, open_store
from steelyard.recipe import Plan, Settings, Train
from steelyard.serve import Settings as ServerSettings
from steelyard.serve import make_app, parse_log
from steelyard.testing.bundles import check_bundle
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import tagged

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).with_name("conftest.py"))
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)
TOKENS = ["Ann", "Lee", "sleeps", "in", "Rio", "Grande"]
TAGS = ["B-name", "I-name", "O", "O", "B-place", "I-place"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One tagger, and a blend of two."""
    pytest.importorskip("scipy")
    from steelyard.learners._token_linear import TokenLinear

    one, home = tagged(), tmp_path_factory.mktemp("taggers")
    about = About(one.task, one.schema, Train(learner="token-linear"), "0" * 16)
    for number, steps in enumerate((20, 12)):
        made = TokenLinear().fit(Plan(settings=Settings(steps=steps, least=1)), one.train, None, one.work, Watch())
        write(home / str(number), made.export(), about)
    write(home / "blend", Joined({"rule": "blend", "weights": [1, 1]}, (home / "0", home / "1")), about)
    write(home / "cut", Joined({"rule": "outside", "times": 0.1}, (home / "0",)), about)
    return home


@pytest.fixture(scope="module")
def server(folders, tmp_path_factory):
    log = parse_log(str(tmp_path_factory.mktemp("log") / "log.db"))
    running = _servers.Server(make_app(folders / "0", ServerSettings(no_keys=True, log=log)))
    running.address = log.address
    yield running
    running.close()


@pytest.mark.parametrize("cell", [TOKENS, " ".join(TOKENS), json.dumps(TOKENS)])
def test_tokens_come_as_a_list_or_as_text_and_go_back_with_tags_and_entities(server, cell):
    told = server.post("/predict", json={"words": cell}).json()["predictions"][0]
    assert (told["tokens"], told["tags"]) == (TOKENS, TAGS)
    assert all(0 < p <= 1 for p in told["probability"])
    assert [(e["start"], e["end"], e["type"], e["text"]) for e in told["entities"]] == [
        (0, 2, "name", "Ann Lee"),
        (4, 6, "place", "Rio Grande"),
    ]
    assert told["entities"][0]["probability"] == min(told["probability"][:2])


def test_many_rows_are_answered_as_each_alone_and_as_by_the_bundle(server, folders):
    rows = [{"words": TOKENS}, {"words": "Oslo"}, {"words": ""}, {"words": ["near"] * 300}]
    together = server.post("/predict", json={"rows": rows}).json()["predictions"]
    alone = [server.post("/predict", json=row).json()["predictions"][0] for row in rows]
    assert [p["tags"] for p in together] == [p["tags"] for p in alone]
    own = load(folders / "0").predict(rows)
    assert [p["tags"] for p in together] == list(own)
    assert together[2] == {"tokens": [], "tags": [], "probability": [], "entities": []}


@pytest.mark.parametrize(
    ("row", "status"),
    [({"words": {"a": 1}}, 400), ({"words": [["a"]]}, 400), ({"words": [None]}, 400), ({"wrds": TOKENS}, 400)],
)
def test_what_is_no_list_of_tokens_is_refused_with_a_sentence(server, row, status):
    reply = server.post("/predict", json=row)
    assert reply.status_code == status
    assert next(iter(row)) in reply.json()["error"]


def test_tokens_count_against_the_limit_of_cells(server):
    reply = server.post("/predict", json={"words": ["a"] * (2**20 + 1)})
    assert reply.status_code == 413


def test_the_open_protocol_carries_tags_as_json_a_row(server):
    name = httpx.URL(server.get("/v2/models/stats").json()["model_stats"][0]["name"]).path
    data = [" ".join(TOKENS), json.dumps(["New York"])]
    inputs = [{"name": "words", "datatype": "BYTES", "shape": [2, 1], "data": data}]
    outputs = server.post(f"/v2/models/{name}/infer", json={"inputs": inputs}).json()["outputs"]
    found = {each["name"]: [json.loads(row) for row in each["data"]] for each in outputs}
    assert found["tags"][0] == TAGS
    assert len(found["tags"][1]) == len(found["scores"][1]) == 1
    described = server.get(f"/v2/models/{name}").json()
    assert {each["name"]: each["datatype"] for each in described["outputs"]} == {"tags": "BYTES", "scores": "BYTES"}


def test_the_description_of_the_calls_holds_what_is_asked_and_answered(server):
    described = server.get("/openapi.json").json()
    answer = server.post("/predict", json={"words": TOKENS}).json()
    schemas = described["components"]["schemas"]
    jsonschema.validate(answer, schemas["Predictions"])
    for cell in (TOKENS, "a text", None):
        jsonschema.validate({"words": cell}, schemas["Row"])


def test_the_log_keeps_the_tags_and_of_the_tokens_a_digest(server):
    server.post("/predict", json={"words": TOKENS}, headers={"X-Request-Id": "for-the-log"})
    store = open_store(server.address)

    def kept():
        return [j.prediction for j in store.read(Query()) if j.prediction.request == "for-the-log"]

    _servers.until(kept)
    (found,) = kept()
    store.close()
    assert found.decided == " ".join(TAGS)
    assert len(found.scores) == len(TAGS)
    assert found.inputs["words"]["length"] == len(TOKENS)
    assert "Ann" not in str(found.inputs)


def test_the_client_reads_tags_among_the_details(server):
    from steelyard.client import Client

    with Client(f"http://127.0.0.1:{server.port}") as client:
        (answer,) = client.predict([{"words": TOKENS}])
    assert answer.details["tags"] == TAGS
    assert answer.label is None


@pytest.mark.parametrize("name", ["0", "blend", "cut"])
def test_bundles_of_taggers_keep_what_every_bundle_must(folders, name):
    check_bundle(folders / name)


def test_blends_of_taggers_average_token_by_token(folders):
    one, other, blend = (load(folders / name) for name in ("0", "1", "blend"))
    rows = [{"words": TOKENS}, {"words": "Oslo near Ann"}]
    answers = [each.answer_rows(rows).scores for each in (one, other, blend)]
    for row in range(2):
        np.testing.assert_allclose(answers[2][row], (answers[0][row] + answers[1][row]) / 2)


def test_a_rule_on_o_changes_decisions_and_no_score(folders):
    plain, cut = load(folders / "0"), load(folders / "cut")
    rows = [{"words": "Zed met Xu in Qax near Vob"}]
    before, after = plain.answer_rows(rows), cut.answer_rows(rows)
    np.testing.assert_array_equal(before.scores[0], after.scores[0])
    assert (after.decided[0] != 0).sum() >= (before.decided[0] != 0).sum()
    assert plain.answer_row(rows[0]).decided[0].tolist() == before.decided[0].tolist()
    assert cut.answer_row(rows[0]).decided[0].tolist() == after.decided[0].tolist()
