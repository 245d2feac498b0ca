"""The command: what it refuses, what it prints, and with which number it ends."""

import json
import subprocess
import sys

import pytest

from steelyard.errors import Exit, RequestInvalid
from steelyard.load import Ceiling, Maximum
from steelyard.load import command as commands
from steelyard.load.command import Asked, load
from steelyard.load.words import describe_maximum, milliseconds
from steelyard.units import Estimate

STRONG, WEAK = Ceiling(rate=1e6, per_core=1e6), Ceiling(rate=60.0, per_core=60.0)


@pytest.fixture
def strong(monkeypatch):
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: STRONG)


def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n{"a": 2}\n')
    return file


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say how to load"),
        ({"rps": 1.0, "connections": 2}, "say how to load"),
        ({"find_max": True, "connections": 2, "p95_ms": 1.0}, "say how to load"),
        ({"find_max": True}, "--p95-ms T"),
        ({"rps": 1.0, "protocol": "grpc"}, "predict, v2, v2-binary"),
        ({"rps": 1.0, "timeout": 0.0}, "--timeout"),
        ({"rps": 1.0, "most": 0}, "--most"),
        ({"rps": 1.0, "pid": 4194305}, "no process"),
    ],
)
def test_options_that_cannot_be_carried_out_are_refused(options, said):
    with pytest.raises(RequestInvalid, match=said):
        Asked(url="http://127.0.0.1:1", **options)


def test_a_load_prints_its_figures_and_ends_with_0(server, tmp_path, strong, capsys):
    asked = Asked(url=server.url, rps=60.0, seconds=0.6, warm_up=0.1, rows=rows(tmp_path))
    data, code = load(asked, as_json=False)
    out = capsys.readouterr().out
    assert code is Exit.DONE
    assert "the generator's own ceiling here: 1,000,000 requests/s" in out
    assert "open loop, 0.6 s" in out
    assert "p99.9" in out
    assert "endings: 200 x" in out
    assert json.loads(json.dumps(data))["vouched_for"] is True
    assert {b'{"rows":[{"a":1}]}', b'{"rows":[{"a":2}]}'} == set(server.bodies)


def test_json_alone_stands_on_standard_output(server, tmp_path, strong, capsys):
    asked = Asked(url=server.url, connections=2, seconds=0.3, warm_up=0.0, rows=rows(tmp_path))
    data, _ = load(asked, as_json=True)
    assert capsys.readouterr().out == ""
    assert data["result"]["mode"] == "closed"
    assert data["result"]["requests"] > 1


def test_a_target_that_is_missed_and_a_generator_that_is_too_weak_have_numbers(server, tmp_path, monkeypatch, capsys):
    server.delay = 0.005
    common = {"url": server.url, "rps": 40.0, "seconds": 0.5, "warm_up": 0.0, "rows": rows(tmp_path)}
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: STRONG)
    assert load(Asked(**common, p95_ms=1.0), as_json=True)[1] is Exit.TARGET_MISSED
    assert load(Asked(**common, p95_ms=5000.0), as_json=True)[1] is Exit.DONE
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: WEAK)
    data, code = load(Asked(**common), as_json=True)
    assert code is Exit.LOAD_TOO_WEAK
    assert data["vouched_for"] is False
    assert "which is not 2 times" in capsys.readouterr().err


def test_rows_that_are_made_up_are_called_so(server, strong, capsys):
    server.metadata = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [-1, 1]}]}
    load(Asked(url=server.url, rps=20.0, seconds=0.3, warm_up=0.0, protocol="v2"), as_json=True)
    assert "made up" in capsys.readouterr().err


def test_a_search_gives_a_maximum_or_says_that_there_is_none(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("steelyard.load.run._ENOUGH", 1)
    monkeypatch.setattr("steelyard.load.run._REST", 0.0)
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: Ceiling(rate=80.0, per_core=80.0))
    common = {"url": server.url, "find_max": True, "seconds": 0.2, "warm_up": 0.0, "rows": rows(tmp_path)}
    data, code = load(Asked(**common, p95_ms=9000.0), as_json=False)
    assert data["maximum"]["capped"]
    assert data["maximum"]["rps"]["value"] == 40
    assert code is Exit.LOAD_TOO_WEAK
    assert "at least 40 requests/s" in capsys.readouterr().out
    server.delay = 0.01
    _, code = load(Asked(**common, rps=2.0, p95_ms=0.001), as_json=True)
    assert code is Exit.TARGET_MISSED


def test_what_was_found_is_said_in_one_line():
    found = Maximum(rate=Estimate(100, 95, 110), capped=False, tests=((100, True), (110, False)))
    assert describe_maximum(found, 20) == (
        "100 requests/s keep p95 within 20 ms; kept every time at 95, missed every time at 110 (2 tests)"
    )
    none = Maximum(rate=Estimate(0, 0, 10), capped=False, tests=((20, False), (10, False)))
    assert describe_maximum(none, 20) == "no rate keeps p95 within 20 ms, not even 10 requests/s"


def test_latencies_are_written_with_three_figures():
    written = [milliseconds(v) for v in (0.123, 9.876, 12.34, 123.4, 12345.6, float("inf"), float("nan"))]
    assert written == ["0.12", "9.88", "12.3", "123", "12,346", "never", "none"]


def test_the_command_line_answers_with_a_sentence_and_a_number(server, tmp_path):
    server.status, server.reply = 400, {"error": "no column 'age'"}
    command = [sys.executable, "-m", "steelyard.cli", "load", server.url, "--rps", "5", "--rows", str(rows(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == Exit.SERVER_REFUSED
    assert done.stderr.startswith("steelyard: the first request was answered with 400")
    assert len(done.stderr.splitlines()) == 1
