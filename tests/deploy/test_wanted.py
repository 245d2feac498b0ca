"""What cannot be deployed is refused at once, each with a sentence and a way out."""

import json
import subprocess
import sys

import pytest

from steelyard.deploy import To, Wanted, deploy
from steelyard.deploy.command import Asked, deployed
from steelyard.errors import BundleRefused, DeploymentRefused, Exit


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"name": "Credit"}, "lower-case"),
        ({"name": "-a"}, "lower-case"),
        ({"name": "a-"}, "lower-case"),
        ({"name": "1a"}, "a letter first"),
        ({"name": "a" * 64}, "1 to 63"),
        ({"name": "a\nb"}, "lower-case"),
        ({"image": "Registry/UPPER"}, "no reference of an image"),
        ({"image": "a b"}, "no reference of an image"),
        ({"base": "python:3.11\nRUN evil"}, "no reference of an image"),
        ({"grace": -1}, "grace"),
        ({"threads": 0}, "threads"),
        ({"extras": ("train",)}, "brings what trains"),
        ({"serve": ("--log\nRUN evil",)}, "line break"),
        ({"serve": ("--log", "postgresql://u:secret@host/db")}, "holds a password"),
    ],
)
def test_what_cannot_be_honoured_is_refused(wanted, said):
    with pytest.raises(DeploymentRefused, match=said):
        Wanted(**wanted)


def test_every_problem_is_named_at_once():
    with pytest.raises(DeploymentRefused) as refused:
        Wanted(name="A", grace=-1, threads=999)
    assert len(str(refused.value).splitlines()) == 4


@pytest.mark.parametrize("image", ["a", "registry.example:5000/team/credit:1.2", "a/b@sha256:" + "0" * 64])
def test_references_of_images_are_taken_as_registries_take_them(image):
    assert Wanted(image=image).image == image


def asked(bundle, tmp_path, **more):
    return Asked(**{"place": bundle, "bundle": bundle, "to": "docker", "out": tmp_path / "out", **more})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to": "swarm"}, "--to is one of docker, kubernetes"),
        ({"monitor": True}, "for Kubernetes"),
        ({"to": "kubernetes", "extras": ("client",)}, "--to docker"),
        ({"serve": ("--port", "80")}, "--port cannot be given"),
        ({"serve": ("--key=abc",)}, "--key cannot be given"),
        ({"extras": ("clinet",)}, "did you mean 'client'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(bundle, tmp_path, more, said):
    with pytest.raises(DeploymentRefused, match=said):
        deployed(asked(bundle, tmp_path, **more))
    assert not (tmp_path / "out").exists()


def test_a_place_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleRefused, match="there is no bundle in"):
        deployed(asked(tmp_path / "nowhere", tmp_path))


def test_a_damaged_report_is_refused_with_the_way_out(bundle, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "report.json").write_text("{")
    with pytest.raises(DeploymentRefused, match="name the bundle itself"):
        deployed(asked(bundle, tmp_path, place=run))


def test_a_damaged_bundle_is_not_deployed(bundle, tmp_path, found):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in bundle.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    graph = bytearray((broken / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (broken / "model.onnx").write_bytes(graph)
    with pytest.raises(BundleRefused):
        deploy(broken, To.DOCKER, tmp_path / "out", Wanted(), rehearsing=found)
    assert list(tmp_path.iterdir()) == [broken]


def test_a_folder_inside_the_bundle_is_refused(bundle, found):
    with pytest.raises(DeploymentRefused, match="lies in the bundle"):
        deploy(bundle, To.DOCKER, bundle / "image", Wanted(), rehearsing=found)


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "steelyard.cli", "deploy", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_serves_the_bundle_once_and_writes(bundle, tmp_path):
    out = tmp_path / "out"
    done = command(bundle, "--to", "kubernetes", "-o", out, "--json", "--", "--queue", "99")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["start_seconds"] > 0
    assert data["memory_bytes"] > 2**20
    assert 0.01 < data["request_ms"] < 50
    assert sorted(path.name for path in out.iterdir()) == data["files"]
    again = command(bundle, "--to", "kubernetes", "-o", out)
    assert again.returncode == Exit.DEPLOYMENT_REFUSED
    assert "is not empty" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def test_the_command_refuses_options_that_no_server_knows(bundle, tmp_path):
    done = command(bundle, "--to", "docker", "-o", tmp_path / "out", "--", "--qeue", "9")
    assert done.returncode == Exit.USAGE
    assert "--qeue" in done.stderr
    done = command(bundle, "--to", "docker", "-o", tmp_path / "out", "--", "--queue", "9", "--batch", "64")
    assert done.returncode == Exit.DEPLOYMENT_REFUSED
    assert "never fits a queue" in done.stderr
    assert not (tmp_path / "out").exists()
