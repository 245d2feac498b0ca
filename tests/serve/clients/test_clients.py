"""tritonclient and kserve ask a real server, unchanged, from an environment of their own (``make test-clients``)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("STEELYARD_CLIENTS", ROOT / ".venv-clients")) / "bin" / "python"
CLIENTS = ("triton-http", "triton-http-aio", "triton-grpc", "triton-grpc-aio", "kserve-rest", "kserve-grpc")
AGES = {"FP64": [33.25, 71.5], "FP32": [33.25, 71.5], "INT64": [33, 71], "BOOL": [True, False]}
ROWS = {"when": [1.3e9, 1.4e9], "city": ["a", "b"], "note": ["the parcel is late", "fine"]}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no environment of the clients; run `make test-clients`"),
]


@pytest.fixture(scope="module")
def server(folders):
    """A server in a process of its own, as people start it; the addresses of HTTP and gRPC."""
    command = [sys.executable, "-m", "steelyard.cli", "serve", folders["mixed"], "--no-keys", "--repository"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    line = process.stdout.readline()
    yield re.search(r"http://(\S+?),", line)[1], re.search(r"gRPC at (\S+)", line)[1]
    process.terminate()
    process.communicate(timeout=40)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def wanted(opened, tmp_path_factory):
    """What the bundle itself answers, as a file."""
    bundle = opened["mixed"]
    rows = {name: {**ROWS, "age": [float(age) for age in ages]} for name, ages in AGES.items()}
    data = {
        "rows": ROWS,
        "ages": AGES,
        "scores": {name: bundle.predict_proba(each).tolist() for name, each in rows.items()},
        "labels": {name: bundle.predict(each).tolist() for name, each in rows.items()},
    }
    file = tmp_path_factory.mktemp("wanted") / "wanted.json"
    file.write_text(json.dumps(data))
    return file


@pytest.mark.parametrize("client", CLIENTS)
def test_every_call_of_a_public_client(server, wanted, client):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("calls.py"), client, *server, wanted],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert len(done.stdout.splitlines()) >= 13, done.stdout


def test_our_messages_are_those_of_tritonclient():
    """Names, numbers and types of every field of ours are the same there, and so are the calls of the service."""
    code = """
import json, sys
from google.protobuf import descriptor_pb2 as d
from tritonclient.grpc import service_pb2, model_config_pb2
ours = d.FileDescriptorSet.FromString(open(sys.argv[1], "rb").read()).file[0]
pool = service_pb2.DESCRIPTOR.pool
checked = 0
def compare(mine, theirs):
    global checked
    for field in mine.field:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type) == (other.number, other.type), (mine.name, field.name)
        assert (field.label == 3) == other.is_repeated, (mine.name, field.name)
        checked += 1
    for nested in mine.nested_type:
        compare(nested, theirs.nested_types_by_name[nested.name])
for each in ours.message_type:
    compare(each, pool.FindMessageTypeByName("inference." + each.name))
for each in ours.enum_type:
    theirs = pool.FindEnumTypeByName("inference." + each.name)
    assert all(theirs.values_by_name[v.name].number == v.number for v in each.value)
service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
for each in ours.service[0].method:
    theirs = service.methods_by_name[each.name]
    assert (each.input_type[1:], each.output_type[1:]) == (theirs.input_type.full_name, theirs.output_type.full_name)
print(checked)
"""
    compiled = ROOT / "src" / "steelyard" / "serve" / "grpc" / "inference.binpb"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, "-c", code, compiled], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100
