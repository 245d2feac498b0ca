"""Labels that come after the prediction are joined to it, whoever sends them, in whatever order."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.predictions import open_store
from steelyard.serve import Key, Scope, parse_log

_spec = importlib.util.spec_from_file_location("logging_tests", Path(__file__).with_name("test_prediction_log.py"))
_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tests)
counted, logged, until, url = _tests.counted, _tests.logged, _tests.until, _tests.url
postgres, address = _tests.postgres, _tests.address


def steelyard(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "steelyard.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


@pytest.fixture
def asked(start, address):
    """A server whose log holds the rows r-0#0 .. r-4#0."""
    server = start(log=parse_log(url(address)))
    for number in range(5):
        server.post("/predict", json={"age": number}, headers={"X-Request-Id": f"r-{number}"})
    until(lambda: counted(server, "steelyard_log_written_total") == 5)
    return server


def test_a_label_is_joined_to_its_prediction_and_the_last_one_counts(asked, address):
    one = asked.post("/labels", json={"id": "r-1#0", "label": "no", "at": "2026-11-22T10:00:00Z"})
    assert one.json() == {"joined": 1, "waiting": 0, "not_logged": 0}
    many = [{"id": "r-1", "label": "yes", "at": 5}, {"id": "r-2", "label": True}, {"id": "other", "label": 3.0}]
    assert asked.post("/labels", json={"labels": many}).json() == {"joined": 2, "waiting": 1, "not_logged": 0}
    found = {joined.prediction.request: joined.label for joined in logged(address)}
    assert (found["r-1"].label, found["r-1"].at, found["r-2"].label, found["r-3"]) == ("yes", 5.0, "true", None)
    store = open_store(address)
    assert [(each.label, each.at) for each in store.history("r-1", 0)] == [("no", 1795341600.0), ("yes", 5.0)]
    assert [each.label for each in store.history("other", 0)] == ["3"]
    store.close()
    assert counted(asked, "steelyard_labels_total") == 4


def test_a_label_of_what_was_never_to_be_logged_is_counted_and_not_kept(start, tmp_path):
    log = parse_log(str(tmp_path / "log.db"), sample=0.5)
    server = start(log=log)
    drawn = next(f"r-{n}" for n in range(99) if log.draws(f"r-{n}"))
    passed = next(f"r-{n}" for n in range(99) if not log.draws(f"r-{n}"))
    labels = [{"id": name, "label": "yes"} for name in (drawn, passed, passed)]
    assert server.post("/labels", json={"labels": labels}).json() == {"joined": 0, "waiting": 1, "not_logged": 2}
    store = open_store(log.address)
    assert [len(store.history(name, 0)) for name in (drawn, passed)] == [1, 0]
    store.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'id' is missing"),
        ({"id": "r", "label": None}, "'label' must be"),
        ({"id": "r", "label": [1]}, "'label' must be"),
        ({"id": "r", "label": ""}, "'label' is empty"),
        ({"id": "r", "label": "x" * 1001}, "at most 1,000"),
        ({"id": "r", "label": "a\u0000b"}, "none of them NUL"),
        ({"id": "a b", "label": 1}, "is no id of a prediction"),
        ({"id": "r#x", "label": 1}, "is no id of a prediction"),
        ({"id": 3, "label": 1}, "'id' is missing"),
        ({"id": "r", "label": 1, "at": "yesterday"}, "is no time"),
        ({"id": "r", "label": 1, "at": 1e300}, "is no time"),
        ({"id": "r", "label": 1, "at": -1}, "is no time"),
        ({"id": "r", "label": 1, "at": True}, "is no time"),
        ({"id": "r", "label": 10**400}, "the body is no valid JSON"),
        ({"labels": []}, "holds no rows"),
        ({"labels": {}}, "must be a list"),
        ({"labels": [3]}, "label 0 (from 0) must be an object"),
        ({"labels": [{"id": "r", "label": 1}] * 5000}, "the most is 4,096"),
    ],
)
def test_a_malformed_label_is_refused_with_a_sentence(asked_sqlite, body, said):
    reply = asked_sqlite.post("/labels", content=json.dumps(body))
    assert reply.status_code in {400, 413}
    assert said in reply.json()["error"]


@pytest.fixture(scope="module")
def asked_sqlite(folders, tmp_path_factory):
    from steelyard.serve import Settings, make_app

    log = parse_log(str(tmp_path_factory.mktemp("log") / "log.db"))
    server = _tests._servers.Server(make_app(folders["numbers"], Settings(no_keys=True, log=log)))
    yield server
    server.close()


def test_labels_need_a_scope_of_their_own_and_a_log(start, tmp_path):
    keys = {scope: f"{scope.value}-{'x' * 20}" for scope in Scope}
    given = tuple(Key.of(secret, frozenset({scope})) for scope, secret in keys.items())
    server = start(log=parse_log(str(tmp_path / "log.db")), keys=given)
    label = {"id": "r", "label": "yes"}
    for scope, secret in keys.items():
        status = server.post("/labels", json=label, headers={"X-API-Key": secret}).status_code
        assert (status == 200) == (scope in {Scope.LABEL, Scope.ADMIN})
    assert start().post("/labels", json=label).status_code == 404


@pytest.mark.slow
def test_the_command_sends_a_file_to_a_server_or_to_the_store_and_reads_the_log_out(asked, address, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id,label,at\nr-0#0,yes,2026-01-01\nr-1#0,no,\nunknown#3,no,12\n")
    through = steelyard("labels", f"http://127.0.0.1:{asked.port}", file, "--json")
    assert json.loads(through.stdout) == {"joined": 2, "waiting": 1, "not_logged": 0}, through.stderr
    file.write_text('{"id": "r-1", "label": "yes"}\n{"id": "r-2#0", "label": 1}\n')
    straight = steelyard("labels", url(address), file.rename(tmp_path / "labels.jsonl"))
    assert straight.stdout.startswith("2 labels belong to a logged prediction, 0 wait"), straight.stderr
    out = tmp_path / "log.csv"
    done = steelyard("log", "--since", "2020-01-01", "--labelled", "-o", out, STEELYARD_LOG=url(address))
    assert done.stdout == f"wrote 3 predictions to {out}\n", done.stderr
    with out.open() as opened:
        rows = {row["id"]: row for row in csv.DictReader(opened)}
    assert {name: row["label"] for name, row in rows.items()} == {"r-0#0": "yes", "r-1#0": "yes", "r-2#0": "1"}
    assert rows["r-0#0"]["label_time"] == "2026-01-01T00:00:00.000Z"
    assert json.loads(rows["r-2#0"]["inputs"]) == {"age": 2.0}
    lines = steelyard("log", url(address), "--unlabelled", "-o", tmp_path / "log.jsonl")
    assert lines.returncode == 0
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["id"] for row in told] == ["r-3#0", "r-4#0"]
    assert steelyard("log", url(address)).stdout.count("\n") == 6


@pytest.mark.slow
def test_what_the_commands_cannot_do_is_one_sentence(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id,label\nr-0#0,\n")
    wrong = [
        (("log", tmp_path / "no.db"), 51, "there is no log of predictions"),
        (("log", "mysql://x"), 2, "not 'mysql'"),
        (("log", tmp_path / "no.db", "--since", "soon"), 2, "is no time"),
        (("labels", tmp_path / "no.db", file), 12, "row 0 (from 0): 'label'"),
        (("labels", tmp_path / "no.db", tmp_path / "none.csv"), 11, "none.csv"),
    ]
    for words, code, said in wrong:
        done = steelyard(*words)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    file.write_text("id,label\nr-0#0,yes\n")
    gone = steelyard("labels", "http://127.0.0.1:9", file)
    assert gone.returncode == 60
    assert "send them again" in gone.stderr
