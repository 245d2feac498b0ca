"""Versions of a model behind one server: who answers, and what a switch does to those who ask meanwhile."""

import gc
import time
import weakref
from collections import Counter

import numpy as np
import pytest

from steelyard.bundle import load as load_bundle
from steelyard.errors import BundleRefused, ServingRefused
from steelyard.serve import Releasing, Settings, make_app
from steelyard.serve.faults import Fault
from steelyard.serve.releases import shelve
from steelyard.serve.releases.roles import Action, Roles
from steelyard.serve.releases.switches import Order


def test_a_promoted_version_answers_and_the_one_before_stays_ready(shelf, start, bundles):
    server = start(shelf)
    assert server.version() == "1"
    told = server.switch("2/promote", why="better on the holdout")
    assert (told["stable"], told["previous"]) == ("2", "1")
    assert (told["applied"]["why"], told["applied"]["who"]) == ("better on the holdout", "anybody")
    reply = server.post("/predict", json={"age": 3}).json()
    wanted = load_bundle(bundles["2"]).predict_proba({"age": [3]})[0]
    assert reply["version"] == "2"
    np.testing.assert_allclose(list(reply["predictions"][0]["probabilities"].values()), wanted, rtol=1e-6)
    body = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [3]}]}
    assert server.post("/v2/models/model/infer", json=body).json()["model_version"] == "2"
    assert server.post("/v2/models/model/versions/1/infer", json=body).json()["model_version"] == "1"
    assert server.get("/v2/models/model").json()["versions"] == ["2", "1"]
    assert server.post("/v2/models/model/versions/3/infer", json=body).status_code == 404


def test_while_versions_are_switched_every_request_is_answered_and_going_back_takes_no_time(shelf, start, load, until):
    server, took = start(shelf), []
    with load(server) as clients:
        for _ in range(5):
            until(lambda: clients.answers and clients.answers[-1][1] == "1")
            server.switch("2/promote")
            until(lambda: clients.answers[-1][1] == "2")
            began = time.perf_counter()
            server.switch("rollback")
            took.append(time.perf_counter() - began)
            until(lambda: clients.answers[-1][1] == "1")
    assert {status for status, _ in clients.answers} == {200}
    assert sorted(took)[2] < 0.1, took


def test_requests_that_wait_for_a_version_when_it_goes_are_answered_by_it(shelf, start, slow, load, until):
    server = start(shelf)
    held = slow(server)
    with load(server, clients=2) as clients:
        held.entered.wait(10)
        server.switch("2/promote")
        server.switch("3/promote")
        assert "1" not in server.app.board.resident
        held.gate.set()
        until(lambda: "1" in {version for _, version in clients.answers})
    assert {status for status, _ in clients.answers} == {200}


def test_a_version_that_has_no_role_any_more_leaves_the_memory(shelf, start, until):
    server = start(shelf)
    gone = weakref.ref(server.deployed.batcher)
    server.switch("2/promote")
    assert gone() is not None
    server.switch("1/retire")

    def is_gone():
        gc.collect()
        return gone() is None

    until(is_gone)
    assert "no previous version" in server.switch("rollback", status=409)["error"]


def test_a_canary_gets_its_share_of_keys_and_a_key_is_always_answered_alike(shelf, start):
    server = start(shelf)
    server.switch("2/canary", share=0.3)
    first = {key: server.version(X_Route_Key=str(key)) for key in range(300)}
    assert 0.2 < Counter(first.values())["2"] / 300 < 0.4
    assert {key: server.version(X_Route_Key=str(key)) for key in range(40)} == dict(list(first.items())[:40])
    server.switch("2/canary", share=0.6)
    more = {key: server.version(X_Route_Key=str(key)) for key in range(300)}
    assert all(more[key] == "2" for key, version in first.items() if version == "2")
    assert 0.5 < Counter(more.values())["2"] / 300 < 0.7
    server.switch("3/canary", share=0.3)
    other = {key for key in range(300) if server.version(X_Route_Key=str(key)) == "3"}
    assert other != {key for key, version in first.items() if version == "2"}


def test_without_a_key_each_request_is_drawn(shelf, start):
    server = start(shelf)
    server.switch("2/canary", share=0.5)
    assert {server.version() for _ in range(40)} == {"1", "2"}


def test_a_header_asks_for_a_role(shelf, start):
    server = start(shelf)
    assert server.post("/predict", json={"age": 3}, headers={"X-Version-Role": "canary"}).status_code == 404
    server.switch("2/canary", share=0.001)
    assert {server.version(X_Version_Role="canary") for _ in range(5)} == {"2"}
    server.switch("2/canary", share=1)
    assert {server.version(X_Version_Role="stable") for _ in range(5)} == {"1"}
    assert {server.version() for _ in range(5)} == {"2"}
    refused = server.post("/predict", json={"age": 3}, headers={"X-Version-Role": "shadow"})
    assert (refused.status_code, "'stable' or 'canary'" in refused.json()["error"]) == (400, True)


def compared(server, version, role):
    versions = {each["version"]: each for each in server.get("/releases").json()["versions"]}
    return versions[version]["compared"][role]


def test_a_shadow_computes_the_same_rows_and_only_the_difference_is_told(shelf, bundles, start, until):
    server = start(shelf)
    server.switch("2/shadow")
    ages = list(range(0, 100, 5))
    for age in ages:
        reply = server.post("/predict", json={"rows": [{"age": age}, {"age": -age}]})
        assert reply.json()["version"] == "1"
    until(lambda: compared(server, "2", "shadow")["rows"] == 2 * len(ages))
    rows = {"age": [*ages, *(-age for age in ages)]}
    one, two = (load_bundle(bundles[v]) for v in "12")
    told = compared(server, "2", "shadow")
    assert told["disagreed"] == int((one.predict(rows) != two.predict(rows)).sum())
    wanted = np.abs(one.predict_proba(rows) - two.predict_proba(rows)).mean()
    assert told["mean_difference"] == pytest.approx(wanted, rel=1e-6)
    lines = server.get("/metrics").text.splitlines()
    agreed = told["rows"] - told["disagreed"]
    labels = 'model="model",version="2",role="shadow"'
    assert f'steelyard_compared_rows_total{{{labels},outcome="agreed"}} {agreed}' in lines
    assert f"steelyard_release_role{{{labels}}} 1" in lines


class Held:
    """A version that computes for as long as a test wants, or fails."""

    def __init__(self, deployed, gate, error=None):
        self.served, self.real, self.gate, self.error = deployed.served, deployed.served.bundle, gate, error
        self.served.bundle = self

    def __getattr__(self, name):
        return getattr(self.real, name)

    def answer_cells(self, cells):
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        return self.real.answer_cells(cells)


def test_a_shadow_that_hangs_slows_nobody_and_what_it_misses_is_counted(shelf, start, until):
    import threading

    server, gate = start(shelf), threading.Event()
    server.switch("2/shadow")
    Held(server.app.board.resident["2"], gate)
    for _ in range(300):
        assert server.version() == "1"
    assert compared(server, "2", "shadow")["dropped"] == 300 - 256
    assert compared(server, "2", "shadow")["rows"] == 0
    gate.set()
    until(lambda: compared(server, "2", "shadow")["rows"] == 256)
    assert server.app.board.router.comparer.waiting == 0


def test_a_shadow_that_fails_is_counted_and_nobody_else_hears_of_it(shelf, start, until):
    import threading

    server, gate = start(shelf), threading.Event()
    gate.set()
    server.switch("2/shadow")
    Held(server.app.board.resident["2"], gate, BundleRefused("no"))
    assert {server.version() for _ in range(20)} == {"1"}
    until(lambda: compared(server, "2", "shadow")["failed"] == 20)
    assert not server.errors()


@pytest.mark.parametrize(
    ("name", "said"),
    [("wide", "reads the column 'unused', which clients need not send"), ("price", "a question of another kind")],
)
def test_a_version_that_does_not_fit_is_refused_and_nothing_changes(shelf, start, bundles, name, said):
    shelve(bundles[name], shelf, version="4")
    server = start(shelf)
    before = (shelf / "switches.jsonl").read_bytes()
    for path, body in (("4/promote", {}), ("4/canary", {"share": 0.5}), ("4/shadow", {})):
        error = server.switch(path, status=409, **body)["error"]
        assert said in error
        assert str(shelf) not in error
    assert (shelf / "switches.jsonl").read_bytes() == before
    assert server.version() == "1"
    assert set(server.app.board.resident) == {"1"}


def test_a_damaged_version_is_refused_and_nothing_changes(shelf, start):
    graph = shelf / "2" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[50] ^= 1
    graph.write_bytes(content)
    server = start(shelf)
    error = server.switch("2/promote", status=409)["error"]
    assert error == "version '2': model.onnx is not what the manifest says it is; fetch the bundle again"
    assert server.version() == "1"
    assert "there is no such version on the shelf" in server.switch("9/promote", status=409)["error"]
    assert server.get("/v2/health/ready").status_code == 200


def test_a_version_whose_content_was_exchanged_is_not_taken_for_the_one_in_the_log(shelf, start, bundles):
    import shutil

    server = start(shelf)
    server.switch("2/canary", share=0.5)
    server.switch("2/retire")
    shutil.rmtree(shelf / "2")
    shelve(bundles["3"], shelf, version="2")
    assert "versions never change" in server.switch("2/promote", status=409)["error"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("1/promote", {}, "is the stable one already"),
        ("1/canary", {"share": 0.1}, "is the stable one already"),
        ("1/retire", {}, "promote another one first"),
        ("3/retire", {}, "has no role to lose"),
        ("rollback", {}, "no previous version"),
        ("2/shadow", {}, "is the canary"),
    ],
)
def test_a_switch_that_makes_no_sense_is_refused_with_a_sentence(shelf, start, path, body, said):
    server = start(shelf)
    server.switch("2/canary", share=0.1)
    assert said in server.switch(path, status=409, **body)["error"]


def test_after_a_restart_the_roles_are_those_of_the_log(shelf, start):
    first = start(shelf)
    first.switch("2/promote")
    first.switch("3/canary", share=1)
    told = first.get("/releases").json()
    first.server.should_exit = True
    first.thread.join()
    again = start(shelf, stable="")
    assert {k: again.get("/releases").json()[k] for k in ("stable", "previous", "canary", "share")} == {
        k: told[k] for k in ("stable", "previous", "canary", "share")
    }
    assert again.version() == "3"
    again.switch("rollback")


def test_a_canary_that_is_lost_keeps_no_server_from_starting(shelf, start, until, bundles):
    import shutil

    first = start(shelf)
    first.switch("2/promote")
    first.switch("3/canary", share=1)
    shutil.rmtree(shelf / "3")
    again = start(shelf, stable="")
    assert again.version() == "2"
    versions = {each["version"]: each for each in again.get("/releases").json()["versions"]}
    assert "no such version" in versions["3"]["problem"]
    assert again.get("/v2/health/ready").status_code == 200
    shelve(bundles["3"], shelf, version="3")
    again.app.board._retry_at = 0.0
    until(lambda: again.version() == "3")


def test_servers_that_share_a_shelf_follow_each_other_at_once(shelf, start, until):
    one, two = start(shelf), start(shelf)
    one.switch("2/promote")
    until(lambda: two.version() == "2")
    one.switch("rollback")
    began = time.perf_counter()
    until(lambda: two.version() == "1")
    assert time.perf_counter() - began < 1
    two.switch("3/promote")
    until(lambda: one.version() == "3")
    one.switch("2/promote")
    until(lambda: two.version() == "2")
    assert set(two.app.board.resident) == {"2", "3"}
    numbers = [line["number"] for line in one.get("/releases/log").json()["switches"]]
    assert numbers == [5, 4, 3, 2, 1]


def test_a_log_that_is_damaged_while_it_is_followed_is_told_by_readiness_and_answers_go_on(shelf, start, until):
    server = start(shelf)
    assert server.get("/v2/health/ready").json() == {"ready": True}
    good = (shelf / "switches.jsonl").read_bytes()
    (shelf / "switches.jsonl").write_bytes(good + b'{"number": 2}\n')
    until(lambda: server.get("/v2/health/ready").status_code == 503)
    assert server.version() == "1"
    assert "damaged" in server.switch("2/promote", status=409)["error"]
    assert "damage" in server.get("/releases").json()
    (shelf / "switches.jsonl").write_bytes(good)
    until(lambda: server.get("/v2/health/ready").status_code == 200)
    server.switch("2/promote")


def test_which_version_is_first_must_be_clear(shelf, tmp_path, bundles):
    with pytest.raises(ServingRefused, match="--stable; there are: 1, 2, 3"):
        make_app(shelf, Settings(no_keys=True))
    with pytest.raises(BundleRefused, match="no such version"):
        make_app(shelf, Settings(no_keys=True, releasing=Releasing(stable="4")))
    assert not (shelf / "switches.jsonl").exists()
    shelve(bundles["1"], tmp_path / "one")
    app = make_app(tmp_path / "one", Settings(no_keys=True))
    app.close()
    with pytest.raises(ServingRefused, match="the log says that version '1' is stable, not '2'"):
        make_app(tmp_path / "one", Settings(no_keys=True, releasing=Releasing(stable="2")))


def test_a_shelf_that_cannot_be_written_needs_another_folder_for_its_log(shelf, tmp_path, monkeypatch, start):
    server = start(shelf, state=tmp_path / "state")
    server.switch("2/promote")
    assert (tmp_path / "state" / "switches.jsonl").exists()
    assert not (shelf / "switches.jsonl").exists()


def test_a_server_that_cannot_open_what_should_answer_says_that_it_is_not_ready(shelf, start, until, bundles, tmp_path):
    shelve(bundles["1"], tmp_path / "poor", version="1")
    one, two = (start(place, state=tmp_path / "state") for place in (shelf, tmp_path / "poor"))
    one.switch("2/promote")
    until(lambda: two.get("/v2/health/ready").status_code == 503)
    assert one.get("/v2/health/ready").status_code == 200
    assert two.version() == "1"
    shelve(bundles["2"], tmp_path / "poor", version="2")
    two.app.board._retry_at = 0.0
    until(lambda: two.get("/v2/health/ready").status_code == 200)
    assert two.version() == "2"


def test_a_switch_that_expects_other_roles_is_not_made(shelf, start):
    server = start(shelf)
    before = (shelf / "switches.jsonl").read_bytes()
    order = Order(action=Action.RETIRE, version="2", who="test", expect=Roles(stable="1", canary="2", share=0.5))
    with pytest.raises(Fault, match="have changed meanwhile"):
        server.app.board._write(order)
    assert (shelf / "switches.jsonl").read_bytes() == before
