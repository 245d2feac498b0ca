"""`steelyard serve` as its users call it: a process, a port, a key printed once, an orderly end."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(*words):
    return [sys.executable, "-m", "steelyard.cli", "serve", *map(str, words)]


@contextmanager
def running(*words):
    """Start a server; give the process, its address and what it printed."""
    process = subprocess.Popen(
        command(*words, "--port", 0), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        line = process.stdout.readline()
        yield process, re.search(r"https?://\S+:\d+", line)[0], line
    finally:
        process.kill()
        process.communicate()


def test_it_prints_a_key_once_answers_with_it_and_stops_in_order(folders, opened):
    began = time.monotonic()
    with running(folders["numbers"], "--name", "late", "--log-share", 1) as (process, address, line):
        assert time.monotonic() - began < 20
        key = re.search(r"key \(shown this once\): (\S+)", line)[1]
        assert httpx.get(f"{address}/v2/health/ready").json() == {"ready": True}
        assert httpx.post(f"{address}/predict", json={"age": 3}).status_code == 401
        reply = httpx.post(f"{address}/v2/models/late/infer", json=body(3), headers={"X-API-Key": key})
        assert reply.json()["outputs"][1]["data"] == opened["numbers"].predict({"age": [3]}).tolist()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "")
        assert key not in err
        assert '"path":"/v2/models/late/infer","status":200' in err


def body(age):
    return {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [age]}]}


def test_without_keys_anybody_on_this_machine_may_ask(folders):
    with running(folders["regression"], "--no-keys") as (process, address, line):
        assert "key" not in line
        assert list(httpx.post(f"{address}/predict", json={"age": 3}).json()["predictions"][0]) == ["value"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--no-keys", "--host", "0.0.0.0"], 50, "only a loopback address"),
        (["--batch", "-1", "--queue", "0"], 50, "queue must be from 1"),
        (["--key", "short"], 50, "at least 16"),
        (["--host", "no.such.host.invalid"], 50, "cannot listen"),
    ],
)
def test_what_cannot_be_honoured_is_one_message_and_a_number(folders, words, code, said):
    done = subprocess.run(
        command(folders["numbers"], *words), capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("steelyard: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    done = subprocess.run(
        command(tmp_path, "--no-keys"), capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )
    assert done.returncode == 40
    assert "Traceback" not in done.stderr


def test_serving_loads_no_training_library():
    code = "import steelyard.serve, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    heavy = {"lightgbm", "onnx", "optuna", "pandas", "polars", "pyarrow", "scipy", "sklearn", "torch"}
    assert not set(done.stdout.split()) & heavy
