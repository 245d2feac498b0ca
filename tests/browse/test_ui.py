"""Browsing a folder of runs: all are listed, damaged ones as such; nothing is written, locked, or reached outside."""

import fcntl
import http.client
import json
import os
import re
import shutil
import threading
from urllib.parse import quote

import pytest

from steelyard import api
from steelyard.browse import Browser, list_runs
from steelyard.errors import RunUnreadable
from steelyard.spec import Budget, LearnersPart, Spec, Value


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A real run, quickly."""
    spec = Spec(
        name="tumours",
        data="sklearn:breast_cancer",
        target="diagnosis",
        positive="malignant",
        value=Value(false_negative="-1000 USD"),
        learners=LearnersPart(only=("constant", "linear")),
        budget=Budget(trials=2),
    )
    return api.run(spec, out=tmp_path_factory.mktemp("made") / "run", in_process=True).folder


@pytest.fixture
def runs(finished, tmp_path):
    """A folder with a whole run, an open one, damaged ones, and what is no run at all."""
    folder = tmp_path / "runs"
    for name in ("whole", "open", "cut", "odd", "empty", "nameless", "a <b> & c"):
        shutil.copytree(finished, folder / name)
    events = (finished / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "open" / "events.jsonl").write_bytes(b"".join(events[:6]) + b"deadbeef {")
    for report in ("report.json", "report.html"):
        (folder / "open" / report).unlink()
    (folder / "cut" / "report.json").write_text('{\n "version": 1,\n "name": ')
    (folder / "cut" / "events.jsonl").write_bytes(events[0] + b"00000000 {}\n" + events[-1])
    (folder / "odd" / "events.jsonl").write_bytes(b"\x00\xff" * 500)
    (folder / "empty" / "events.jsonl").write_bytes(b"")
    (folder / "nameless" / "data.json").write_text("[]")
    (folder / "no run").mkdir()
    (folder / "file").write_text("x")
    (tmp_path / "outside").mkdir()
    shutil.copytree(finished, tmp_path / "outside" / "secret")
    (folder / "link").symlink_to(tmp_path / "outside" / "secret", target_is_directory=True)
    return folder


@pytest.fixture
def ask(runs):
    with Browser(runs) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def asked(path, method="GET", **headers):
            line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            line.request(method, path, headers=headers)
            reply = line.getresponse()
            reply.text = reply.read().decode()
            line.close()
            return reply

        yield asked
        server.shutdown()
        thread.join()


def test_every_run_is_listed_and_damaged_ones_as_such(runs):
    found = {run.folder: run for run in list_runs(runs)}
    states = {name: run.state for name, run in found.items()}
    assert states == {
        "whole": "ended",
        "nameless": "ended",
        "a <b> & c": "ended",
        "open": "open",
        "cut": "damaged",
        "odd": "damaged",
        "empty": "damaged",
    }
    report = json.loads((runs / "whole" / "report.json").read_bytes())
    whole = found["whole"]
    assert (whole.name, whole.title) == ("tumours", report["decision"]["title"])
    assert whole.quality.value == report["decision"]["test"]["value"]["value"]
    assert whole.spent == report["spent"]["money"]


def test_a_list_is_read_again_only_where_files_changed(runs, monkeypatch):
    from steelyard.browse import runs as module

    known, read = {}, []
    list_runs(runs, known)
    monkeypatch.setattr(module, "head_of", lambda path: read.append(path.parent.name) or {})
    list_runs(runs, known)
    assert read == ["cut"]
    os.utime(runs / "whole" / "report.json")
    list_runs(runs, known)
    assert "whole" in read


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(RunUnreadable, match="name a folder that holds runs"):
        Browser(tmp_path / "nowhere")


def test_the_list_and_each_run_are_pages_and_damage_breaks_nothing(ask):
    top = ask("/")
    assert top.status == 200
    assert "a &lt;b&gt; &amp; c" in top.text
    assert "<b>" not in top.text
    assert ask(re.search(r'href="(/run/a[^"]*)"', top.text)[1]).status == 200
    assert ask("/run/whole").status == 200
    assert ask("/run/open").status == 200
    for name in ("cut", "odd", "empty", "nameless"):
        reply = ask(f"/run/{name}")
        assert reply.status == 422, name
        assert "cannot be shown" in reply.text
    assert json.loads(ask("/run/whole/report.json").text)["name"] == "tumours"


def test_every_answer_forbids_what_its_page_does_not_need(ask):
    for path in ("/", "/run/whole", "/run/odd", "/nothing"):
        reply = ask(path)
        inner = reply.text.partition('Content-Security-Policy" content="')[2].partition('"')[0].replace("&#x27;", "'")
        assert reply.getheader("Content-Security-Policy") == f"{inner}; frame-ancestors 'none'"
        assert reply.getheader("X-Content-Type-Options") == "nosniff"


OUTSIDE = ("../outside/secret", "../../outside/secret", "/etc", ".", "..", "link", "whole/../whole", "no run", "\0")


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_beside_the_runs_of_the_folder_can_be_reached(ask, name):
    for path in (f"/run/{quote(name, safe='')}", f"/run/{quote(name)}", f"/run/{quote(quote(name, safe=''))}"):
        assert ask(path).status == 404
    assert ask("/run/whole/spec.yaml").status == 404
    assert ask("/whole/events.jsonl").status == 404


def test_a_page_of_another_site_cannot_read_it_by_a_name_of_its_own(ask):
    assert ask("/", Host="evil.example:80").status == 403
    assert ask("/", Host="localhost:1").status == 200


def test_nothing_can_be_sent(ask):
    assert ask("/", method="POST").status == 501
    head = ask("/run/whole", method="HEAD")
    assert (head.status, head.text) == (200, "")
    assert int(head.getheader("Content-Length")) > 1000


def test_browsing_writes_nothing_and_does_not_disturb_a_run_that_holds_its_lock(ask, runs):
    before = {p: p.stat().st_mtime_ns for p in sorted(runs.rglob("*"))}
    lock = os.open(runs / "open" / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    before[runs / "open" / ".lock"] = (runs / "open" / ".lock").stat().st_mtime_ns
    for path in ("/", "/run/open", "/run/whole"):
        assert ask(path).status == 200
    os.close(lock)
    after = {p: p.stat().st_mtime_ns for p in sorted(runs.rglob("*"))}
    before.pop(runs / "open")  # its lock was made here
    after.pop(runs / "open")
    assert after == before
