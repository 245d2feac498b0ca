"""One context makes images for x86-64 and ARM64, and pods go where their image runs."""

import json
import platform
import re
import subprocess
import sys

import pytest
import yaml

from steelyard.deploy import Rehearsal, To, Wanted, deploy, pins, pins_of
from steelyard.deploy.command import Asked, deployed
from steelyard.deploy.docker import WHEELS
from steelyard.deploy.pins import Pin
from steelyard.deploy.wanted import PLATFORMS, own_platform
from steelyard.errors import DeploymentRefused


def made(bundle, to, out, found, **wanted):
    deployment = deploy(bundle, to, out, Wanted(name="credit", image="a/credit:1", **wanted), rehearsing=found)
    return deployment, out


def nodes(out):
    spec = yaml.safe_load((out / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    ((term,),) = ([fits["matchExpressions"] for fits in required["nodeSelectorTerms"]],)
    (fits,) = term
    assert (fits["key"], fits["operator"]) == ("kubernetes.io/arch", "In")
    return fits["values"]


def test_the_image_is_built_for_both_unless_one_is_named(bundle, tmp_path, found):
    deployment, out = made(bundle, To.DOCKER, tmp_path / "both", found)
    bake, readme = ((out / name).read_text() for name in ("docker-bake.hcl", "README.md"))
    assert 'platforms = ["linux/amd64", "linux/arm64"]' in bake
    assert 'tags      = ["a/credit:1"]' in bake
    assert "docker buildx build --platform linux/amd64,linux/arm64 --tag a/credit:1 --push ." in readme
    other = next(each for each in PLATFORMS if each != own_platform())
    assert any(f"for {other} (estimated" in sentence for sentence in deployment.sentences)
    deployment, out = made(bundle, To.DOCKER, tmp_path / "own", found, platforms=(own_platform(),))
    assert f'platforms = ["{own_platform()}"]' in (out / "docker-bake.hcl").read_text()
    assert not any("wheels" in sentence for sentence in deployment.sentences)


def test_the_size_elsewhere_is_that_of_the_packages_here_in_proportion(bundle, tmp_path, found):
    deployment, _ = made(bundle, To.DOCKER, tmp_path / "out", found)
    (sentence,) = [each for each in deployment.sentences if "wheels" in each]
    other = next(each for each in PLATFORMS if each != own_platform())
    told = float(re.search(r"about ([\d,]+) MB", sentence)[1].replace(",", ""))
    assert told == pytest.approx(pins_of().size / 1e6 * WHEELS[other] / WHEELS[own_platform()], abs=0.51)


def test_nothing_in_the_context_names_a_processor_but_what_it_is_built_for(bundle, tmp_path, found):
    _, out = made(bundle, To.DOCKER, tmp_path / "out", found)
    words = re.compile(r"x86|amd64|aarch64|arm64|--platform", re.IGNORECASE)
    for name in ("Dockerfile", "requirements.txt", "compose.yaml", ".dockerignore"):
        named = [line for line in (out / name).read_text().splitlines() if words.search(line)]
        assert all("platform_machine" in line for line in named)


def test_pods_go_to_nodes_of_this_machines_kind_unless_others_are_named(bundle, tmp_path, found):
    _, out = made(bundle, To.KUBERNETES, tmp_path / "own", found)
    assert nodes(out) == [own_platform().removeprefix("linux/")]
    _, out = made(bundle, To.KUBERNETES, tmp_path / "both", found, platforms=PLATFORMS)
    assert nodes(out) == ["amd64", "arm64"]
    assert "pods go to nodes of amd64 and arm64 alone" in (out / "README.md").read_text()
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    validator.validate(yaml.safe_load((out / "deployment.yaml").read_text()), "1.33", strict=True)


@pytest.mark.parametrize(
    ("machine", "name"), [("aarch64", "linux/arm64"), ("arm64", "linux/arm64"), ("x86_64", "linux/amd64")]
)
def test_machines_are_called_as_registries_call_them(machine, name, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert own_platform() == name


def test_an_unknown_platform_is_refused_with_the_nearest():
    with pytest.raises(DeploymentRefused, match=r"'linux/arm' is none of linux/amd64, linux/arm64 \(did you mean"):
        Wanted(platforms=("linux/arm",))


def test_the_command_prints_how_to_build_for_both(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.deploy.make.rehearse", None)
    rehearsed = Rehearsal(0.7, 90 * 2**20)
    monkeypatch.setitem(deploy.__kwdefaults__, "rehearsing", lambda *_: rehearsed)
    data, lines = deployed(Asked(place=bundle, bundle=bundle, to="docker", out=tmp_path / "out"))
    assert data["platforms"] == list(PLATFORMS)
    assert lines[-1].startswith("or: docker buildx build --platform linux/amd64,linux/arm64 --tag ")


def test_a_package_that_one_processor_alone_needs_keeps_its_marker(monkeypatch):
    real = pins._required
    marker = "platform_machine == 'x86_64'"

    def required(package, extras):
        for other, wanted, own in real(package, extras):
            yield other, wanted, marker if other == "httptools" else own

    monkeypatch.setattr(pins, "_required", required)
    lines = pins_of().requirements.splitlines()
    (line,) = [each for each in lines if each.startswith("httptools")]
    assert line.endswith(f" ; {marker}")
    assert not any(";" in each for each in lines if each.startswith(("numpy", "onnxruntime", "uvloop")))
    assert str(Pin("a", "1", 2)) == "a==1"


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_package_of_the_image_has_wheels_for(machine, tmp_path):
    (tmp_path / "requirements.txt").write_text(pins_of().requirements)
    tags = [f"manylinux_2_{minor}_{machine}" for minor in (36, 34, 28, 27, 26, 24, 17)] + [f"manylinux2014_{machine}"]
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    words = [word for tag in tags for word in ("--platform", tag)]
    words += [word for abi in (f"cp{python}", "abi3", "none") for word in ("--abi", abi)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--only-binary=:all:"]
    where = ["--target", "x", "--report", "report.json", "--ignore-installed", "--requirement", "requirements.txt"]
    command = [*pip, *where, "--python-version", python, "--implementation", "cp", *words]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if ran.returncode and re.search("NewConnectionError|ConnectTimeout|name resolution|ProxyError", ran.stderr):
        pytest.skip("no package registry can be reached")
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "report.json").read_text())["install"]
    assert len(found) == len(pins_of().packages)
    files = [each["download_info"]["url"].rpartition("/")[2] for each in found]
    assert all(file.endswith(".whl") and ("any" in file or machine in file) for file in files)
