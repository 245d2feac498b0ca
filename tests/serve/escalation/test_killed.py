"""Processes that are killed, and disks that are full: what was promised to a client is there afterwards."""

import contextlib
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading

import httpx
import pytest

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def running(folder, path=None, before=None, port=0):
    words = [sys.executable, "-m", "steelyard.cli", "serve", str(folder), "--port", str(port), "--no-keys"]
    process = subprocess.Popen(
        [*words, *(["--escalate", str(path)] if path else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=before,  # noqa: PLW1509 - sets a limit before anything runs
    )
    try:
        address = re.search(r"https?://\S+:\d+", process.stdout.readline())[0]
        with httpx.Client(base_url=address, timeout=20) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_row_that_is_parked_outlives_its_server_and_is_answered_by_the_next_one(world, plan):
    path = plan(at=1.0)
    with running(world.weak, path) as (process, client):
        ticket = client.post("/predict", json=world.rows[0]).json()["predictions"][0]["review"]
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    with running(world.weak, path) as (process, client):
        assert client.get(f"/reviews/{ticket}").json()["inputs"] == world.rows[0]
        assert client.post(f"/reviews/{ticket}", json={"label": "7", "who": "ann"}).status_code == 200
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    with running(world.weak, path) as (_, client):
        assert client.get(f"/reviews/{ticket}").json()["label"] == "7"


@pytest.mark.slow
def test_every_ticket_that_a_client_got_is_there_after_kills_at_any_time(world, plan, tmp_path):
    path, tickets = plan(at=1.0), []

    def ask(client):
        with contextlib.suppress(httpx.HTTPError):
            while True:
                found = client.post("/predict", json={"rows": world.rows[:3]}).json()["predictions"]
                tickets.extend(one["review"] for one in found)

    for _ in range(3):
        with running(world.weak, path) as (process, client):
            clients = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
            before = len(tickets)
            for each in clients:
                each.start()
            while len(tickets) < before + 40:
                pass
            process.send_signal(signal.SIGKILL)
            for each in clients:
                each.join()
    with contextlib.closing(sqlite3.connect(tmp_path / "reviews.db")) as line:
        kept = {found[0] for found in line.execute("SELECT id FROM reviews")}
    assert len(tickets) > 120
    assert set(tickets) <= kept


@pytest.mark.slow
def test_the_dear_server_is_killed_under_load_and_comes_back_and_no_client_notices(world, launch, plan, until):
    stages, failed, stop = [], [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def ask():
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client:
            while not stop.is_set():
                reply = client.post("/predict", json=world.rows[len(stages) % 100])
                if reply.status_code != 200:
                    failed.append(reply.text)
                stages.append(reply.json()["predictions"][0]["stage"])

    server = launch(world.weak, escalate=plan(port, at=1.0, timeout_ms=500))
    clients = [threading.Thread(target=ask) for _ in range(4)]
    try:
        with running(world.strong, port=port) as (process, _):
            for each in clients:
                each.start()
            until(lambda: stages.count("remote") > 50)
            process.send_signal(signal.SIGKILL)
            until(lambda: stages[-20:].count("bundle") == 20)
        with running(world.strong, port=port):
            until(lambda: stages[-5:].count("remote") == 5, 60)
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert not failed
    assert server.errors() == {}


@pytest.mark.slow
def test_a_full_disk_fails_no_prediction(world, plan):
    def bound():
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    with running(world.weak, plan(at=1.0), bound) as (process, client):
        stages = []
        for start in range(0, 300, 10):
            reply = client.post("/predict", json={"rows": world.rows[start : start + 10]})
            assert reply.status_code == 200
            stages += ["review" in one for one in reply.json()["predictions"]]
        assert stages[0]
        assert not stages[-1]
        metrics = client.get("/metrics").text
        lost = int(re.search(r'escalations_total\{.*outcome="store"\} (\d+)', metrics)[1])
        assert lost == stages.count(False)
        process.send_signal(signal.SIGTERM)
        assert "rows cannot be parked in" in process.communicate(timeout=20)[1]
