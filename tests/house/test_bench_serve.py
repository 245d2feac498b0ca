"""The bench of servers: it compares right answers, ends what it starts, and counts what is missing as not met."""

import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="process trees are read from /proc")

ECHO = """
import http.server, json, os, subprocess, sys
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = json.dumps({"scores": [json.loads(body)["x"][:2]], "kind": self.headers["Content-Type"]}).encode()
        self.send_response(int(os.environ["STATUS"]))
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["BENCH_PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def bench():
    """The modules of the bench, by name."""
    folders = [str(ROOT / "benchmarks" / "serve"), str(ROOT / "benchmarks")]
    sys.path[:0] = folders
    try:
        import capacity
        import closed
        import processes
        import servers
        import verdict

        yield {"capacity": capacity, "closed": closed, "processes": processes, "servers": servers, "verdict": verdict}
    finally:
        for folder in folders:
            sys.path.remove(folder)


def echo(bench, tmp_path, status=200):
    script = tmp_path / "echo.py"
    script.write_text(ECHO)

    def start(python, model, port, batch):
        return [str(python), str(script)], {"BENCH_PORT": str(port), "STATUS": str(status)}

    servers = bench["servers"]
    return servers.Tool(
        name="echo", setting="", environment="", start=start, ask=servers._json("/predict", lambda row: {"x": row})
    )


def alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_server_is_timed_watched_and_ended_with_all_it_started(bench, tmp_path):
    from steelyard.load.processes import tree

    tool, row = echo(bench, tmp_path), np.array([0.25, 0.75, 9.0])
    with bench["processes"].running(tool, tmp_path, tool.ask(row), [0.25, 0.75]) as server:
        pids = tree(server.process.pid)
        assert len(pids) >= 2
        assert server.seconds > 0
        assert server.memory > 2**20
    end = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_that_answers_wrongly_or_never_is_a_failure(bench, tmp_path, monkeypatch):
    processes, row = bench["processes"], np.array([0.25, 0.75])
    tool = echo(bench, tmp_path)
    with (
        pytest.raises(processes.Failed, match="and the graph"),
        processes.running(tool, tmp_path, tool.ask(row), [0.5, 0.5]),
    ):
        pass
    monkeypatch.setattr(processes, "PATIENCE", 1.5)
    tool = echo(bench, tmp_path, status=500)
    with (
        pytest.raises(processes.Failed, match="it answered 500"),
        processes.running(tool, tmp_path, tool.ask(row), [0.25, 0.75]),
    ):
        pass


@pytest.mark.parametrize("way", ["wrk", "own"])
def test_a_closed_loop_counts_answers_failures_and_processor_time(bench, tmp_path, monkeypatch, way):
    closed = bench["closed"]
    if way == "wrk" and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("the load wants a core of its own")
    monkeypatch.setattr(closed, "has_wrk", lambda: way == "wrk")
    tool, row = echo(bench, tmp_path), np.array([0.25, 0.75])
    with bench["processes"].running(tool, tmp_path, tool.ask(row), [0.25, 0.75]) as server:
        found = closed.closed_loop(server, tool.ask(row), 2, 1)
    assert found["generator"] == ("wrk" if way == "wrk" else "steelyard")
    assert found["rps"] > 5
    assert found["failed"] == 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["cpu_ms"] > 0
    assert found["others"] >= 0


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (b'{"scores": [[0.25, 0.75]]}', 0),
        (b'{"output": [0.25, 0.75]}', 0),
        (b"[[0.25, 0.75]]", 0),
        (b'{"outputs": [{"name": "label", "data": ["no"]}, {"name": "scores", "data": [0.25, 0.75]}]}', 0),
        (b'{"predictions": [{"probabilities": {"no": 0.25, "yes": 0.75}}]}', 0),
    ],
)
def test_the_answers_of_all_servers_are_read(bench, answer, head):
    assert bench["servers"].scores_of(answer, head) == [0.25, 0.75]


def test_binary_answers_are_read(bench):
    raw = {"label": b"\x02\x00\x00\x00no", "scores": np.array([0.25, 0.75], "<f4").tobytes()}
    kinds = {"label": "BYTES", "scores": "FP32"}
    outputs = [{"name": n, "datatype": kinds[n], "parameters": {"binary_data_size": len(b)}} for n, b in raw.items()]
    head = json.dumps({"outputs": outputs}).encode()
    assert bench["servers"].scores_of(head + b"".join(raw.values()), len(head)) == [0.25, 0.75]


def test_what_every_rival_is_asked_holds_the_same_row(bench):
    row = np.array([0.5] * 64)
    for tool in bench["servers"].ALL:
        message = tool.ask(row)
        assert message.body.count(b"0.5") == 64 or row.tobytes() in message.body


def rows_of(bench, model, *, rate=1.0):
    """Make rows in which ours reaches ``rate`` times 1,000 requests a second and each rival 100."""
    found = []
    for tool in bench["servers"].ALL:
        rps = 1000.0 * rate if tool.name == "ours" else 100.0
        loop = {"rps": rps, "cpu_ms": 1000 / rps, "p50_ms": 2.3, "p99_ms": 3.0, "failed": 0, "others": 0.02}
        half = {"rps": rps / 2, "p50_ms": 1.0, "p99_ms": 100 / rps, "failed": 0, "late_ms": 0.1}
        result = {"closed": dict.fromkeys(("1", "16", "64"), loop), "half": half}
        result |= {"memory_bytes": 2**26, "start_seconds": 1.0}
        found.append((bench["verdict"].case_of(tool, model, 0), result))
    raw = {"cpu_ms_1": 2.0, "cpu_ms_32": 0.7, "p50_ms_1": 2.0, "p50_ms_32": 20.0}
    return [*found, ({"tool": "raw", "version": "1", "model": model, "setting": "", "round": 0}, raw)]


def judged(bench, tmp_path, rows):
    from rows import Bench

    one = Bench("serve", folder=tmp_path)
    for case, result in rows:
        one.measure(case, lambda result=result: result)
    bench["verdict"].show(one)
    with pytest.raises(SystemExit) as ended:
        one.finish()
    return ended.value.code


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("FRESH", raising=False)
    monkeypatch.delenv("MINUTES", raising=False)


def test_bars_are_met_where_the_rows_say_so(bench, tmp_path, capsys):
    assert judged(bench, tmp_path, rows_of(bench, "big")) == 0
    out = capsys.readouterr().out
    assert "met    big: 2. JSON >= 45% of raw batched: 0.7" in out
    assert "met    big: 3. >= 5 times the best of litserve: 10 times" in out
    assert "met    big: 4. one connection within 0.4 ms of raw: 0.3 ms" in out
    assert "mlserver 1.7.1, batching" in out


def test_bars_fall_short_where_the_rows_say_so(bench, tmp_path, capsys):
    assert judged(bench, tmp_path, rows_of(bench, "big", rate=0.3)) == 1
    out = capsys.readouterr().out
    assert "SHORT  big: 2. JSON >= 45% of raw batched: 0.21" in out
    assert "SHORT  big: 3. >= 5 times the best of litserve: 3 times" in out
    assert "met    big: 3. >= 2 times the best of mlserver: 3 times" in out


def test_a_rival_without_rows_is_a_bar_not_met(bench, tmp_path, capsys):
    rows = [row for row in rows_of(bench, "big") if row[0]["tool"] != "litserve"]
    assert judged(bench, tmp_path, rows) == 1
    assert "SHORT  big: 3. >= 5 times the best of litserve: 0 of 1 rows" in capsys.readouterr().out


def test_a_busy_machine_is_told(bench, tmp_path, capsys):
    rows = rows_of(bench, "big")
    rows[0][1]["closed"]["64"] = rows[0][1]["closed"]["64"] | {"others": 0.5}
    judged(bench, tmp_path, rows)
    assert "measure again on a quiet machine" in capsys.readouterr().out


def test_predictions_stand_beside_measurements_and_what_is_no_number_is_a_dash(bench):
    capacity = bench["capacity"]
    row = {
        "figures": [
            {"what": "p95", "unit": "ms", "predicted": 2.0, "measured": {"value": 3.0}, "ratio": 1.5},
            {"what": "rate", "unit": "requests/s", "predicted": None, "measured": {"value": 1500.0}, "ratio": None},
        ]
    }
    head, first, second = capacity._said(row).splitlines()
    assert head.split() == ["predicted", "measured", "ratio"]
    assert first.split() == ["p95,", "ms", "2", "3", "1.5"]
    assert second.split() == ["rate,", "requests/s", "-", "1,500", "-"]
    assert capacity._ratios(row) == "p95 1.50 times"


def test_rows_of_the_three_kinds_are_what_a_server_takes(bench):
    from steelyard.serve.wire import checked_image, from_base64

    capacity = bench["capacity"]
    for name, (_, rows) in capacity.KINDS.items():
        if name != "table" and not capacity.DATA.is_dir():
            continue
        found = rows()
        assert 0 < len(found) <= capacity.ROWS
        assert json.loads(json.dumps(found)) == found
        if name == "image":
            checked_image(from_base64(next(iter(found[0].values())), "photo"), "photo")
