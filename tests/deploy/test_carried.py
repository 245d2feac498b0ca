"""Workers, gRPC and trusted keys reach the container, and what cannot be carried is refused with the reason."""

import json

import pytest
import yaml

from steelyard.bundle.signing import Signer, keygen
from steelyard.deploy import Needs, Rehearsal, To, Wanted, deploy, rehearse
from steelyard.deploy.command import Asked, deployed
from steelyard.errors import DeploymentRefused
from steelyard.money import Forecast
from steelyard.serve.releases import shelve
from steelyard.spec import Traffic
from steelyard.units import Estimate

MIB = 2**20
FOUND = Rehearsal(0.7, 90 * MIB)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """The file of a private key, and that of its public one."""
    private = tmp_path_factory.mktemp("keys") / "release.key"
    return private, keygen(private)


@pytest.fixture(scope="module")
def wanted(key):
    return Wanted(name="credit", image="registry.example/credit:1", workers=3, grpc_port=8001, trust=(key[1],))


@pytest.fixture(scope="module")
def image(bundle, wanted, tmp_path_factory):
    out = tmp_path_factory.mktemp("image") / "out"
    deploy(bundle, To.DOCKER, out, wanted, rehearsing=lambda *_: FOUND)
    return out


@pytest.fixture(scope="module")
def objects(bundle, wanted, tmp_path_factory):
    out = tmp_path_factory.mktemp("cluster") / "out"
    deploy(bundle, To.KUBERNETES, out, wanted, rehearsing=lambda *_: FOUND)
    listed = yaml.safe_load((out / "kustomization.yaml").read_text())["resources"]
    return {(data := yaml.safe_load((out / name).read_text()))["kind"]: data for name in listed}


def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def after(words, option):
    return words[words.index(option) + 1]


def test_the_image_holds_the_public_key_and_the_command_names_it(image, key):
    lines = (image / "Dockerfile").read_text().splitlines()
    assert "COPY trust /trust" in lines
    assert "EXPOSE 8000 8001" in lines
    words = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT")).partition(" ")[2])
    assert (after(words, "--workers"), after(words, "--grpc-port")) == ("3", "8001")
    assert (image / after(words, "--trust").lstrip("/")).read_bytes() == key[1].read_bytes()
    assert "!trust" in (image / ".dockerignore").read_text().splitlines()
    assert {"grpcio", "protobuf", "cryptography"} <= {
        line.partition("==")[0] for line in (image / "requirements.txt").read_text().splitlines()
    }


def test_both_ports_are_published_on_loopback_alone(image):
    service = yaml.safe_load((image / "compose.yaml").read_text())["services"]["server"]
    assert service["ports"] == ["127.0.0.1:8000:8000", "127.0.0.1:8001:8001"]
    assert "--publish 127.0.0.1:8000:8000 --publish 127.0.0.1:8001:8001" in (image / "README.md").read_text()


def test_an_image_without_them_has_none_of_it(bundle, tmp_path):
    deploy(bundle, To.DOCKER, tmp_path / "out", Wanted(), rehearsing=lambda *_: FOUND)
    text = (tmp_path / "out" / "Dockerfile").read_text()
    assert "trust" not in text
    assert "--workers" not in text
    assert "--grpc-port" not in text
    assert not (tmp_path / "out" / "trust").exists()


def test_the_cluster_reaches_grpc_and_asks_it_whether_requests_may_come(objects):
    (container,) = pod(objects)["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8000, "grpc": 8001}
    assert container["readinessProbe"]["grpc"] == {"port": 8001}
    assert "httpGet" not in container["readinessProbe"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    ports = {port["name"]: port for port in objects["Service"]["spec"]["ports"]}
    assert (ports["grpc"]["port"], ports["grpc"]["targetPort"]) == (8001, "grpc")
    allowed = objects["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    assert [port["port"] for port in allowed] == [8000, 8001]


def test_the_cluster_mounts_the_public_keys_where_the_command_looks(objects, key):
    (container,) = pod(objects)["containers"]
    trust = objects["ConfigMap"]
    assert trust["data"] == {"1.pem": key[1].read_text()}
    assert {"name": "trust", "configMap": {"name": trust["metadata"]["name"]}} in pod(objects)["volumes"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "trust"]
    assert after(container["command"], "--trust") == f"{mount['mountPath']}/1.pem"
    assert mount["readOnly"] is True


@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_each_object_fits_the_schema_of_kubernetes(objects, version):
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for data in objects.values():
        validator.validate(data, version, strict=True)


def test_a_replica_of_several_workers_asks_for_their_cores_and_counts_for_as_many():
    busy = Estimate.exact(2.0, unit="ms")
    times = dict.fromkeys(("p50", "p95", "p99", "busy"), busy)
    rate = Estimate.exact(1000.0, unit="rows/s")
    run = Forecast(name="a", **times, batched=rate, threads=2, traffic=Traffic(mean_rps=5000, peak_rps=9000))
    one, three = (Needs.of(FOUND, 2, run, workers=workers) for workers in (1, 3))
    assert (one.cores, three.cores) == (2, 6)
    assert three.queue == pytest.approx(3 * one.queue)
    assert -(-one.least // 3) == three.least > 2
    assert three.most < one.most
    assert "of 3 workers" in three.reasons[0]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"workers": 0}, "workers must be from 1"),
        ({"grpc_port": 8000}, "not HTTP's 8000"),
        ({"grpc_port": 80}, "from 1024"),
        ({"grpc_port": 70000}, "to 65535"),
    ],
)
def test_what_cannot_be_honoured_is_refused(wanted, said):
    with pytest.raises(DeploymentRefused, match=said):
        Wanted(**wanted)


def test_a_private_key_is_never_carried(bundle, key, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(key[1].read_bytes() + key[0].read_bytes())
    for path in (key[0], both, tmp_path / "missing.pem"):
        with pytest.raises(DeploymentRefused, match="--trust"):
            deploy(bundle, To.DOCKER, tmp_path / "out", Wanted(trust=(path,)), rehearsing=lambda *_: FOUND)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [("--escalate", "disk that stays"), ("--workers", "deploy --help"), ("--trust", "deploy --help")],
)
def test_options_after_the_dashes_that_are_not_for_there_are_refused(bundle, tmp_path, option, said):
    with pytest.raises(DeploymentRefused, match=said):
        deployed(Asked(place=bundle, bundle=bundle, to="docker", out=tmp_path / "out", serve=(option, "x")))


@pytest.mark.slow
def test_the_rehearsal_serves_by_workers_and_grpc_and_only_what_is_signed(bundle, key, tmp_path):
    wanted = Wanted(workers=2, grpc_port=8001, trust=(key[1],))
    with pytest.raises(DeploymentRefused, match="not signed"):
        rehearse(bundle, wanted)
    shelve(bundle, tmp_path / "shelf", version="1", signer=Signer(key[0]))
    found, alone = rehearse(tmp_path / "shelf" / "1", wanted), rehearse(bundle, Wanted())
    assert found.memory_bytes > 1.5 * alone.memory_bytes
