"""Several workers behind one port: whoever is killed, hangs or is renewed, at most the requests in flight notice."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from steelyard.errors import Exit

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
BODY = json.dumps({"age": 3})


class Fleet:
    """`steelyard serve --workers N` in a process of its own."""

    def __init__(self, folder, *words, script=None):
        command = [sys.executable, "-m", "steelyard.cli"] if script is None else [sys.executable, "-c", script]
        self.process = subprocess.Popen(
            [*command, "serve", folder, "--no-keys", "--port", "0", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127.0.0.1:(\d+)", self.said)
        self.port = int(found[1]) if found else 0

    @property
    def workers(self):
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def open(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path):
        with contextlib.closing(self.open()) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def metrics(self):
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
        }

    def becomes(self, condition, patience=20.0):
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, "it did not come to pass"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, patience=20):
        """Return what was written on standard error."""
        self.signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=patience)
        assert self.process.returncode == 0, errors
        return errors

    def kill(self):
        self.process.kill()
        return self.process.communicate()[1]


@pytest.fixture
def fleet(folders):
    """Return a function that starts a fleet; all are killed in the end."""
    running = []

    def started(*words, script=None):
        running.append(Fleet(folders["numbers"], *words, script=script))
        return running[-1]

    yield started
    for each in running:
        each.kill()


class Load:
    """Clients that ask again and again over connections that they keep."""

    def __init__(self, fleet, clients=6):
        self.fleet, self.answered, self.failed = fleet, [0] * clients, []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(each,)) for each in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, place):
        while not self.ends.is_set():
            with contextlib.closing(self.fleet.open()) as connection:
                self._ask_on(connection, place)

    def _ask_on(self, connection, place):
        while not self.ends.is_set():
            try:
                connection.request("POST", "/predict", BODY)
                reply = connection.getresponse()
                assert reply.status == 200, reply.read()
                reply.read()
            except (http.client.HTTPException, OSError) as problem:
                self.failed.append(problem)
                return
            self.answered[place] += 1
            if reply.will_close:
                return

    def everybody(self, more=5):
        """Wait until each client has so many answers more."""
        before = list(self.answered)
        self.fleet.becomes(lambda: all(now >= ago + more for now, ago in zip(self.answered, before, strict=True)))

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(20)
        return sum(self.answered)


def events(errors, event):
    lines = (json.loads(line) for line in errors.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]


def test_what_the_supervisor_imports_starts_no_thread_that_a_fork_would_lose():
    code = "import os, sys, steelyard.serve; print(len(os.listdir('/proc/self/task')), 'onnxruntime' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == ["1", "False"]


@pytest.mark.slow
def test_any_worker_tells_what_all_have_counted_also_after_a_kill(fleet):
    served = fleet("--workers", 3)
    for _ in range(60):
        with contextlib.closing(served.open()) as connection:
            connection.request("POST", "/predict", BODY)
            assert connection.getresponse().status == 200
    asked = ("steelyard_requests_total", "200", "predict")
    told = [served.metrics() for _ in range(9)]
    assert [each[asked] for each in told] == [60] * 9
    assert {each["steelyard_workers",] for each in told} == {3}
    assert [each["steelyard_request_seconds_count", "predict"] for each in told] == [60] * 9
    stats = [json.loads(served.get("/v2/models/stats"))["model_stats"][0] for _ in range(6)]
    assert {each["inference_stats"]["success"]["count"] for each in stats} == {60}
    for victim in served.workers[:2]:
        os.kill(victim, signal.SIGKILL)
        served.becomes(lambda gone=victim: gone not in served.workers)
    served.becomes(lambda: served.metrics()["steelyard_workers",] == 3)
    last = served.metrics()
    assert last[asked] == 60
    assert last["steelyard_rows_total", "1", "model"] == 60
    assert last["steelyard_worker_restarts_total",] == 2
    assert last["steelyard_requests_in_flight",] == 1
    assert last["process_cpu_seconds_total",] >= told[-1]["process_cpu_seconds_total",]
    assert len(events(served.end(), "worker_ended")) == 2


@pytest.mark.slow
def test_connections_are_shared_out(fleet):
    served = fleet("--workers", 3)
    before = {pid: _sockets(pid) for pid in served.workers}
    held = [served.open() for _ in range(12)]
    for connection in held:
        connection.connect()
    served.becomes(lambda: served.metrics()["steelyard_connections",] == 13)
    taken = sorted(_sockets(pid) - count for pid, count in before.items())
    assert sum(taken) == 12
    assert taken[0] >= 1, taken
    for connection in held:
        connection.close()


def _sockets(pid):
    links = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(file.readlink()))
    return sum(link.startswith("socket:") for link in links)


def test_a_killed_worker_costs_the_requests_in_flight_and_no_more(fleet):
    served = fleet("--workers", 2)
    load = Load(served)
    load.everybody()
    (victim, _) = served.workers
    lost = _sockets(victim)
    os.kill(victim, signal.SIGKILL)
    load.everybody(50)
    served.becomes(lambda: served.metrics()["steelyard_workers",] == 2)
    load.everybody()
    answered = load.end()
    assert 0 < len(load.failed) <= min(6, lost)
    assert served.metrics()["steelyard_requests_total", "200", "predict"] >= answered
    assert "SIGKILL" in served.end()


@pytest.mark.slow
def test_all_workers_are_renewed_without_a_failed_request(fleet):
    served = fleet("--workers", 2)
    first = served.workers
    load = Load(served)
    load.everybody()
    for _ in range(2):
        old = served.workers
        served.signal(signal.SIGHUP)
        served.becomes(lambda old=old: len(served.workers) == 2 and not set(old) & set(served.workers))
        load.everybody()
    answered = load.end()
    assert load.failed == []
    assert not set(first) & set(served.workers)
    assert served.metrics()["steelyard_requests_total", "200", "predict"] == answered
    assert served.metrics()["steelyard_worker_restarts_total",] == 0
    assert len(events(served.end(), "renewing")) == 2


@pytest.mark.slow
def test_a_silent_connection_outlives_the_renewal_and_is_then_told_to_close(fleet):
    served = fleet("--workers", 2)
    held = [served.open() for _ in range(4)]
    for connection in held:
        connection.request("GET", "/v2/health/live")
        assert connection.getresponse().read()
    served.signal(signal.SIGHUP)
    served.becomes(lambda: len(served.workers) == 3)
    time.sleep(1.0)
    closed = 0
    for connection in held:
        connection.request("GET", "/v2/health/live")
        reply = connection.getresponse()
        assert reply.read() == b'{"live":true}'
        closed += reply.will_close
        connection.close()
    assert 0 < closed < 4


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(fleet):
    served = fleet("--workers", 2, "--hang-seconds", 1)
    victim = served.workers[0]
    os.kill(victim, signal.SIGSTOP)
    served.becomes(lambda: victim not in served.workers and len(served.workers) == 2)
    served.becomes(lambda: served.metrics()["steelyard_workers",] == 2)
    errors = served.end()
    assert [line["pid"] for line in events(errors, "worker_hangs")] == [victim]


HANGING = """
import asyncio, pathlib, time
from steelyard.serve.fleet import worker

class Hanging:
    async def start(self):
        once = pathlib.Path({once!r})
        if not once.exists():
            once.touch()
            asyncio.get_running_loop().call_later(0.3, time.sleep, 100)
    async def stop(self, grace):
        pass

def make(*given, make_app=worker.make_app):
    app = make_app(*given)
    app.companions.append(Hanging())
    return app

worker.make_app = make
from steelyard.cli import main
main()
"""


@pytest.mark.slow
def test_the_one_that_hangs_says_where(fleet, tmp_path):
    script = HANGING.format(once=str(tmp_path / "once"))
    served = fleet("--workers", 2, "--hang-seconds", 1, script=script)
    served.becomes(lambda: served.metrics()["steelyard_worker_restarts_total",] == 1)
    assert "Fatal Python error: Aborted" in served.end()


STUCK = """
import pathlib, time
from steelyard.serve.fleet import worker

def make(*given, make_app=worker.make_app):
    if pathlib.Path({when!r}).exists():
        time.sleep(100)
    return make_app(*given)

worker.make_app = make
from steelyard.cli import main
main()
"""


def test_a_worker_that_never_opens_the_bundle_ends_the_start_with_a_sentence(fleet, tmp_path):
    (tmp_path / "stuck").touch()
    script = STUCK.format(when=str(tmp_path / "stuck"))
    served = fleet("--workers", 2, "--start-seconds", 1, script=script)
    _, errors = served.process.communicate(timeout=20)
    assert served.process.returncode == int(Exit.SERVING_REFUSED)
    assert "did not get on for 1 s while it opens the bundle" in errors
    assert "--start-seconds" in errors.splitlines()[-1]
    assert "Fatal Python error: Aborted" in errors  # it says where it stood


def test_a_new_worker_that_never_opens_the_bundle_leaves_the_old_ones_at_work(fleet, tmp_path):
    served = fleet("--workers", 2, "--start-seconds", 1, script=STUCK.format(when=str(tmp_path / "stuck")))
    workers = set(served.workers)
    (tmp_path / "stuck").touch()
    served.signal(signal.SIGHUP)
    served.becomes(lambda: len(served.workers) == 3)
    served.becomes(lambda: set(served.workers) == workers)
    assert json.loads(served.get("/v2/health/ready")) == {"ready": True}
    errors = served.end()
    assert len(events(errors, "worker_hangs")) == 1
    assert events(errors, "renewing_stopped")


def test_a_killed_supervisor_takes_its_workers_along(fleet):
    served = fleet("--workers", 2)
    workers = served.workers
    served.process.kill()
    served.process.wait()
    end = time.monotonic() + 10
    while any(_lives(pid) for pid in workers) or _is_taken(served.port):
        assert time.monotonic() < end
        time.sleep(0.01)


def _lives(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _is_taken(port):
    with socket.socket() as asking:
        asking.settimeout(5)
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_request_in_flight_is_answered_before_the_end(fleet):
    served = fleet("--workers", 2)
    with contextlib.closing(served.open()) as connection:
        connection.connect()
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
        connection.sock.sendall(head.encode())
        served.becomes(lambda: served.metrics()["steelyard_requests_in_flight",] == 2)
        served.signal(signal.SIGINT)
        time.sleep(0.3)
        connection.sock.sendall(BODY.encode())
        answer = connection.sock.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer
    assert served.process.wait(20) == 0


def test_workers_that_cannot_start_end_the_server_with_one_sentence(tmp_path):
    served = Fleet(tmp_path, "--workers", 2)
    _, errors = served.process.communicate(timeout=30)
    assert (served.said, served.process.returncode) == ("", 40)
    assert [line for line in errors.splitlines() if line.startswith("steelyard: ")][-1:] == errors.splitlines()[-1:]
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_bundle_that_went_bad_is_not_taken_up_and_the_old_workers_go_on(folders, tmp_path):
    folder = tmp_path / "bundle"
    subprocess.run(["cp", "-r", folders["numbers"], folder], check=True)
    served = Fleet(folder, "--workers", 2)
    try:
        workers = served.workers
        (folder / "manifest.json").rename(folder / "gone.json")
        served.signal(signal.SIGHUP)
        served.becomes(lambda: served.metrics()["steelyard_workers",] == 2)
        time.sleep(1.5)
        assert served.workers == workers
        assert served.get("/v2/health/live") == '{"live":true}'
        assert events(served.end(), "renewing_stopped")
    finally:
        served.kill()
