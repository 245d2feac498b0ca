"""The log of predictions as a server writes it: whole, sampled, and never in the way of an answer."""

import base64
import importlib.util
import io
import logging
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from steelyard.errors import ServingRefused
from steelyard.predictions import Bounds, Query, StoreUnavailable, open_store
from steelyard.serve import Settings, make_app, parse_log
from steelyard.serve.log import writer

_spec = importlib.util.spec_from_file_location("stores", Path(__file__).parents[1] / "predictions" / "conftest.py")
_stores = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_stores)
postgres, address = _stores.postgres, _stores.address
_conftest = importlib.util.spec_from_file_location("servers", Path(__file__).with_name("conftest.py"))
_servers = importlib.util.module_from_spec(_conftest)
_conftest.loader.exec_module(_servers)
until, ROW = _servers.until, _servers.ROW


def url(address):
    return address.url if address.path is None else f"sqlite:///{address.path}"


def logged(address, **query):
    store = open_store(address)
    found = list(store.read(Query(**query)))
    store.close()
    return found


def counted(server, name):
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def test_every_row_is_logged_with_what_was_asked_and_answered(start, address):
    server = start("mixed", log=parse_log(url(address)))
    rows = [ROW, {**ROW, "age": None, "city": "b", "note": ""}]
    reply = server.post("/predict", json={"rows": rows}, headers={"X-Request-Id": "r-1"})
    told = reply.json()
    until(lambda: counted(server, "steelyard_log_written_total") == 2)
    first, second = (joined.prediction for joined in logged(address))
    assert (first.id, second.id) == ("r-1#0", "r-1#1")
    assert (first.model, first.version, first.digest) == (told["model"], told["version"], told["digest"])
    for prediction, answer in zip((first, second), told["predictions"], strict=True):
        assert prediction.decided == answer["label"]
        assert list(prediction.scores) == list(answer["probabilities"].values())
        assert 0 < prediction.latency < 5
        assert abs(prediction.at - time.time()) < 60
    assert first.inputs["note"]["length"] == len(ROW["note"])
    assert ROW["note"] not in str(first.inputs)
    assert {name: first.inputs[name] for name in ("age", "city")} == {"age": 33.0, "city": "a"}
    assert second.inputs["age"] is None


def test_values_are_logged_as_numbers_and_by_every_protocol(start, tmp_path):
    log = parse_log(str(tmp_path / "log.db"))
    server = start("regression", log=log)
    value = server.post("/predict", json={"age": 3}).json()["predictions"][0]["value"]
    body = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [3]}]}
    assert server.post("/v2/models/model/infer", json=body).status_code == 200
    until(lambda: counted(server, "steelyard_log_written_total") == 2)
    assert [joined.prediction.decided for joined in logged(log.address)] == [value, value]


@pytest.mark.parametrize(
    ("inputs", "kept"),
    [
        ("none", {}),
        ("numbers", {"age": 33.0, "when": 1296432000.0}),
        ("columns:note, city", {"city": "a", "note": "the parcel is late"}),
    ],
)
def test_what_is_kept_of_the_inputs_is_set(start, tmp_path, inputs, kept):
    log = parse_log(str(tmp_path / "log.db"), inputs=inputs)
    server = start("mixed", log=log)
    server.post("/predict", json=ROW)
    until(lambda: counted(server, "steelyard_log_written_total") == 1)
    assert [joined.prediction.inputs for joined in logged(log.address)] == [kept]


def test_of_an_image_only_hash_and_length_are_kept_even_if_it_is_named(start, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    log = parse_log(str(tmp_path / "log.db"), inputs="columns:photo")
    server = start("image", log=log)
    row = dict.fromkeys(server.deployed.served.layout.columns)
    row["photo"] = base64.b64encode(file.getvalue()).decode()
    assert server.post("/predict", json=row).status_code == 200
    until(lambda: counted(server, "steelyard_log_written_total") == 1)
    kept = logged(log.address)[0].prediction.inputs["photo"]
    assert kept["length"] == len(file.getvalue())
    assert len(kept["sha256"]) == 16


def test_a_sample_is_drawn_by_the_id_the_same_way_by_everybody(start, tmp_path):
    log = parse_log(str(tmp_path / "log.db"), sample=0.3)
    server = start(log=log)
    for number in range(60):
        server.post("/predict", json={"age": 1}, headers={"X-Request-Id": f"r-{number}"})
    drawn = {f"r-{number}#0" for number in range(60) if log.draws(f"r-{number}")}
    assert 5 < len(drawn) < 40
    until(lambda: counted(server, "steelyard_log_written_total") == len(drawn))
    assert {joined.prediction.id for joined in logged(log.address)} == drawn


def test_which_stage_answered_is_kept_where_it_is_told(start, tmp_path):
    server = start(log=parse_log(str(tmp_path / "log.db")))
    log, endpoint = server.app.log, server.app.repository.only
    endpoint.recorder = lambda *found: log.answered(*found, {1: "remote"})
    server.post("/predict", json={"rows": [{"age": 1}, {"age": 2}]})
    until(lambda: counted(server, "steelyard_log_written_total") == 2)
    assert [joined.prediction.stage for joined in logged(log.settings.address)] == ["", "remote"]


def test_what_waits_is_written_before_the_server_ends(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_LINGER", 60.0)
    log = parse_log(str(tmp_path / "log.db"))
    server = _servers.Server(make_app(folders["numbers"], Settings(no_keys=True, log=log)))
    for number in range(50):
        server.post("/predict", json={"rows": [{"age": number}] * 20})
    assert server.app.log.waiting == 1000
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 10
    assert len(logged(log.address)) == 1000


def test_the_log_stays_within_its_bounds(start, tmp_path):
    log = replace(parse_log(str(tmp_path / "log.db")), bounds=Bounds(rows=40))
    server = start(log=log)
    for number in range(30):
        server.post("/predict", json={"rows": [{"age": number}] * 10})
        until(lambda: server.app.log.waiting == 0)
    assert len(logged(log.address)) <= 40
    assert counted(server, "steelyard_log_written_total") == 300


class Dead:
    """A store that fails until it is told not to."""

    def __init__(self, real):
        self.real, self.is_dead, self.tries = real, True, 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    def append(self, predictions):
        self.tries += 1
        if self.is_dead:
            raise StoreUnavailable("no room")
        self.real.append(predictions)


def test_a_dead_store_fails_no_prediction_and_what_does_not_fit_the_queue_is_counted(
    start, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(writer, "_PAUSE", 0.02)
    monkeypatch.setattr(writer, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(writer, "_MOST_ROWS", 50)
    server = start(log=parse_log(str(tmp_path / "log.db")))
    log = server.app.log
    log._store = dead = Dead(log._store)
    with caplog.at_level(logging.WARNING, "steelyard.serve"):
        for number in range(40):
            assert server.post("/predict", json={"rows": [{"age": number}] * 5}).status_code == 200
        until(lambda: dead.tries > 5)
    assert len([r for r in caplog.records if "not logged: no room" in r.message]) == 1
    assert counted(server, "steelyard_log_failing") == 1
    assert counted(server, "steelyard_log_dropped_total") == 150
    dead.is_dead = False
    until(lambda: counted(server, "steelyard_log_written_total") == 50)
    assert counted(server, "steelyard_log_failing") == 0
    server.post("/predict", json={"age": 1})
    until(lambda: len(logged(log.settings.address)) == 51)


def test_a_store_that_stays_dead_does_not_hold_up_the_end(folders, tmp_path):
    log = parse_log(str(tmp_path / "log.db"))
    server = _servers.Server(make_app(folders["numbers"], Settings(no_keys=True, log=log)))
    server.app.log._store = Dead(server.app.log._store)
    for _ in range(20):
        server.post("/predict", json={"age": 1})
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 5


def test_a_database_that_is_stopped_loses_nothing_that_fits_the_queue(start, postgres, address, monkeypatch):
    if address.path is not None:
        pytest.skip("a file does not stop; see the test of a full disk")
    monkeypatch.setattr(writer, "_LONGEST_PAUSE", 0.3)
    server = start(log=parse_log(url(address)))
    server.post("/predict", json={"age": 1})
    until(lambda: counted(server, "steelyard_log_written_total") == 1)
    postgres.stop()
    try:
        for _ in range(20):
            assert server.post("/predict", json={"age": 1}).status_code == 200
        until(lambda: counted(server, "steelyard_log_failing") == 1)
        late = server.post("/labels", json={"id": "r-1", "label": "yes"})
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
    finally:
        postgres.start()
    until(lambda: counted(server, "steelyard_log_written_total") == 21)
    assert len(logged(address)) == 21
    assert counted(server, "steelyard_log_dropped_total") == 0


def test_a_record_that_the_store_refuses_is_dropped_alone(start, tmp_path):
    server = start(log=parse_log(str(tmp_path / "log.db")))
    log = server.app.log
    encoded = log._encoded

    def broken(entry):
        for prediction in encoded(entry):
            yield replace(prediction, row=2**70) if entry.request == "bad" else prediction

    log._encoded = broken
    for name in ("good-1", "bad", "good-2"):
        server.post("/predict", json={"age": 1}, headers={"X-Request-Id": name})
    until(lambda: counted(server, "steelyard_log_written_total") == 2)
    assert counted(server, "steelyard_log_dropped_total") == 1


FULL = textwrap.dedent("""
    import os, sys, time
    from steelyard.predictions import Query, open_store
    from steelyard.serve import parse_log
    from steelyard.serve.log import writer
    from steelyard.serve.metrics import Metrics
    from types import SimpleNamespace as Some
    import numpy as np
    from steelyard.contracts import Answer
    from steelyard.serve.table import Table

    writer._PAUSE = writer._LONGEST_PAUSE = 0.05
    place = sys.argv[1]
    settings = parse_log(place + "/log.db")
    log = writer.PredictionLog(settings, Metrics())
    kept = Some(of=lambda table, row: {"text": "x" * 3000})
    log._inputs_of = lambda served: kept
    task = Some(classes=("no", "yes"))
    served = Some(name="m", version="1", digest="d", predicts_value=False, tags=False, task=task)
    answered = Some(served=served, answer=Answer(np.array([[0.5, 0.5]]), np.array([1])))
    table = Table(np.zeros((1, 1)), np.empty((1, 0), object))
    log._thread.start()
    def until(condition):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, (log._written.value, log._failures.value)
            time.sleep(0.01)
    number = 0
    while not log._failing.value:
        log.answered(answered, table, Some(request_id=f"r-{number}"), 0.1)
        number += 1
        time.sleep(0.0005)
    assert number > 50, number
    before = log._written.value
    os.remove(place + "/ballast")
    until(lambda: log.waiting == 0 and not log._failing.value)
    store = open_store(settings.address, create=False)
    rows = sum(1 for _ in store.read(Query()))
    assert rows == number == log._written.value > before, (rows, number, before)
    print("resumed", rows)
""")


def test_a_full_disk_stops_the_log_alone_and_it_goes_on_once_there_is_room(tmp_path):
    script = tmp_path / "full.py"
    script.write_text(FULL)
    small = tmp_path / "small"
    small.mkdir()
    steps = (
        f"mount -t tmpfs -o size=3m none {small} || exit 77; "
        f"head -c 2m /dev/zero > {small}/ballast; exec {sys.executable} {script} {small}"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", steps], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip(f"a small disk cannot be made here: {done.stderr.strip()[:80]}")
    assert done.returncode == 0, done.stderr
    assert "resumed" in done.stdout
    assert "disk is full" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sample": 0.0}, "log_sample must be above 0"),
        ({"inputs": "number"}, "did you mean 'numbers'"),
        ({"rows": 0}, "bound of rows must be above 0"),
        ({"inputs": "columns:"}, "names no column"),
    ],
)
def test_a_setting_of_the_log_that_cannot_be_honoured_is_refused(tmp_path, given, said):
    with pytest.raises(ServingRefused, match=said):
        Settings(log=parse_log(str(tmp_path / "log.db"), **given))


def test_a_setting_of_a_log_that_is_off_a_strange_address_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ServingRefused, match="--log-rows say how"):
        parse_log(None, rows=3)
    with pytest.raises(ServingRefused, match="not 'mysql'"):
        parse_log("mysql://x")
    with pytest.raises(ServingRefused, match="is a folder"):
        Settings(log=parse_log(str(tmp_path)))
    with pytest.raises(ServingRefused, match="the folder of the log"):
        Settings(log=parse_log(str(tmp_path / "no" / "log.db")))


def test_a_column_that_the_model_does_not_read_is_refused_at_the_start(folders, tmp_path):
    log = parse_log(str(tmp_path / "log.db"), inputs="columns:aeg")
    with pytest.raises(ServingRefused, match=r"'aeg', which the model does not read .did you mean 'age'"):
        make_app(folders["numbers"], Settings(no_keys=True, log=log))


def test_the_password_stands_in_no_setting_that_is_shown():
    settings = Settings(log=parse_log("postgresql://me:s3cr3t@db/log"))
    assert "s3cr3t" not in repr(settings)


def test_without_a_log_nothing_is_counted_and_nothing_runs(serving):
    app = serving["numbers"].app
    assert (app.log, app.repository.only.recorder, app.companions) == (None, None, [])
    assert "steelyard_log" not in serving["numbers"].get("/metrics").text


def test_the_queue_is_bounded_by_memory_too(start, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_MOST_BYTES", 1000)
    monkeypatch.setattr(writer, "_PAUSE", 0.02)
    server = start("mixed", log=parse_log(str(tmp_path / "log.db")))
    log = server.app.log
    log._store = dead = Dead(log._store)
    for note in ("long " * 300, "short", "short"):
        assert server.post("/predict", json={**ROW, "note": note}).status_code == 200
    assert counted(server, "steelyard_log_dropped_total") == 2
    dead.is_dead = False
    until(lambda: log.waiting == 0)
    server.post("/predict", json={**ROW, "note": "short"})
    until(lambda: counted(server, "steelyard_log_written_total") == 2)
