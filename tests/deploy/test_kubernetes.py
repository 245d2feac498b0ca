"""The manifests: valid by the schemas of Kubernetes, closed by default, sized by what was measured."""

import json
import shutil
import subprocess

import pytest
import yaml

from steelyard.deploy import Needs, Rehearsal, To, Wanted, deploy
from steelyard.money import Forecast
from steelyard.spec import Traffic
from steelyard.units import Estimate

MIB = 2**20
PORT = 8000


@pytest.fixture(scope="module")
def written(bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("cluster") / "out"
    wanted = Wanted(name="credit", image="registry.example/credit:1", grace=12, threads=2, monitor=True)
    deploy(bundle, To.KUBERNETES, out, wanted, rehearsing=lambda *_: Rehearsal(0.7, 90 * MIB))
    return out


@pytest.fixture(scope="module")
def objects(written):
    found = {}
    for path in written.glob("*.yaml"):
        data = yaml.safe_load(path.read_text())
        if "kind" in data:
            found[data["kind"]] = data
    return found


def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def container(objects):
    (one,) = pod(objects)["containers"]
    return one


@pytest.mark.parametrize(
    "kind", ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"]
)
@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_each_object_fits_the_schema_of_kubernetes(objects, kind, version):
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    validator.validate(objects[kind], version, strict=True)


def test_kustomize_takes_all_of_them(written, objects):
    kubectl = shutil.which("kubectl")
    listed = yaml.safe_load((written / "kustomization.yaml").read_text())["resources"]
    assert {yaml.safe_load((written / name).read_text())["kind"] for name in listed} == set(objects) - {"Kustomization"}
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", written], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {each["kind"] for each in yaml.safe_load_all(done.stdout)} == set(objects) - {"Kustomization"}


def test_the_pod_may_do_nothing_but_serve(objects):
    one = container(objects)["securityContext"]
    assert one == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    whole = pod(objects)["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] == 10001
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(objects)["automountServiceAccountToken"] is False
    assert objects["NetworkPolicy"]["spec"]["egress"] == []
    assert objects["NetworkPolicy"]["spec"]["ingress"][0]["ports"] == [{"port": PORT, "protocol": "TCP"}]


def test_words_of_the_command_are_no_variables_of_the_cluster(bundle, tmp_path):
    wanted = Wanted(serve=("--log", "/var/$(HOME)"))
    deploy(bundle, To.KUBERNETES, tmp_path / "out", wanted, rehearsing=lambda *_: Rehearsal(0.7, 90 * MIB))
    made = yaml.safe_load((tmp_path / "out" / "deployment.yaml").read_text())
    assert made["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "/var/$$(HOME)"


def test_the_longest_name_is_one_that_the_cluster_takes(bundle, tmp_path):
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    wanted = Wanted(name="a" * 63)
    deploy(bundle, To.KUBERNETES, tmp_path / "out", wanted, rehearsing=lambda *_: Rehearsal(0.7, 90 * MIB))
    for path in (tmp_path / "out").glob("*.yaml"):
        data = yaml.safe_load(path.read_text())
        if "kind" in data and data["kind"] != "Kustomization":
            validator.validate(data, "1.33", strict=True)
    policy = yaml.safe_load((tmp_path / "out" / "networkpolicy.yaml").read_text())
    for source in policy["spec"]["ingress"][0]["from"]:
        for name, value in source["podSelector"].get("matchLabels", {}).items():
            assert len(name) <= 63
            assert len(value) <= 63


def test_keys_come_from_a_secret_and_stand_in_no_file(written, objects):
    mounts = {volume["name"]: volume for volume in pod(objects)["volumes"]}
    assert mounts["keys"]["secret"]["secretName"] == "credit-keys"
    assert mounts["keys"]["secret"]["items"] == [{"key": "keys", "path": "keys"}]
    assert container(objects)["args"] == ["--keys", "/etc/steelyard/keys"]
    assert "env" not in container(objects)
    assert "Secret" not in objects
    endpoint = objects["ServiceMonitor"]["spec"]["endpoints"][0]
    assert endpoint["authorization"]["credentials"] == {"name": "credit-keys", "key": "token"}


def test_an_update_takes_no_replica_away_and_lets_requests_end(objects):
    strategy = objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}
    sleep = int(container(objects)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod(objects)["terminationGracePeriodSeconds"] > sleep + 12
    command = container(objects)["command"]
    assert command[command.index("--grace") + 1] == "12"
    assert "replicas" not in objects["Deployment"]["spec"]


def test_probes_ask_what_the_server_answers(objects):
    from steelyard.serve.routes import find

    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = container(objects)[name]["httpGet"]
        route, _ = find("GET", get["path"])
        assert route.scope is None
        assert get["port"] == container(objects)["ports"][0]["name"]


def test_what_selects_pods_selects_these(objects):
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod(objects)["topologySpreadConstraints"]),
    ]
    assert all(selector == labels for selector in selectors)
    service = objects["Service"]["metadata"]["labels"]
    assert objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= service.items()


def test_the_autoscaler_follows_a_metric_that_the_server_exports(written, objects):
    from steelyard.serve.metrics import Metrics, ModelMetrics

    spec = objects["HorizontalPodAutoscaler"]["spec"]
    queue, cpu = spec["metrics"]
    name = queue["pods"]["metric"]["name"]
    metrics = Metrics()
    ModelMetrics(metrics, "m", "1")
    assert f"\n{name}{{" in metrics.text()
    rule = yaml.safe_load((written / "prometheus-adapter.yaml").read_text())["rules"][0]
    assert rule["name"] == {"as": name}
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert cpu["resource"]["name"] == "cpu"
    assert spec["scaleTargetRef"]["name"] == objects["Deployment"]["metadata"]["name"]


def forecast(busy=10.0, **more):
    def one(value):
        return Estimate(value, 0.9 * value, 1.2 * value, unit="ms")

    return Forecast(name="a", p50=one(busy), p95=one(busy), p99=one(busy), busy=one(busy), batched=one(500.0), **more)


def test_replicas_come_from_the_traffic_of_the_run():
    needs = Needs.of(Rehearsal(0.7, 90 * MIB), 1, forecast(traffic=Traffic(mean_rps=200, peak_rps=1000)))
    assert needs.load == pytest.approx(0.7)
    assert needs.least == 3  # 200 requests of 10 ms: 2 cores busy, at 70% each
    assert needs.most == 19  # 1000 of up to 12 ms: 12 cores busy, 18 replicas at 70%, and one more
    assert needs.queue == pytest.approx(0.49 / 0.3)
    assert "from the run" in needs.reasons[0]


def test_a_request_that_takes_longer_than_the_model_needs_more_replicas():
    run = forecast(busy=0.1, traffic=Traffic(mean_rps=20_000))
    alone, with_http = (Needs.of(Rehearsal(0.7, 90 * MIB, ms), 1, run) for ms in (0.05, 0.3))
    assert (alone.least, with_http.least) == (3, 9)  # 2 cores busy with the model, 6 with the requests


def test_without_traffic_replicas_are_assumed_and_said_to_be():
    other = forecast(threads=2, traffic=Traffic(mean_rps=900))  # what it says holds for two threads alone
    for known in (None, forecast(), forecast(traffic=Traffic(mean_rps=0)), other):
        needs = Needs.of(Rehearsal(0.7, 90 * MIB), 1, known)
        assert (needs.least, needs.most) == (2, 4)
        assert "assumed" in needs.reasons[0]


def test_a_slow_start_and_a_large_model_get_time_and_memory():
    small, large = (Needs.of(Rehearsal(s, m * MIB), 1, None) for s, m in ((0.7, 90), (40.0, 2000)))
    assert small.start_probes == 15
    assert large.start_probes * 2 >= 10 * 40
    assert large.memory_mib >= 2500
    assert large.memory_limit_mib >= large.memory_mib + 512


def test_names_of_the_run_become_names_of_the_cluster(bundle, tmp_path):
    from steelyard.deploy.command import Asked, deployed

    run = tmp_path / "run"
    run.mkdir()
    figure = {"value": 2.0, "low": 2.0, "high": 2.0}
    names = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rps")
    report = {
        "name": "German Credit",
        "decision": {"figures": dict.fromkeys(names, figure)},
        "spec": "serving: {threads: 2, latency_p95_ms: 20, traffic: {mean_rps: 2000}}",
    }
    (run / "report.json").write_text(json.dumps(report))
    data, _ = deployed(Asked(place=run, bundle=bundle, to="kubernetes", out=tmp_path / "out"))
    assert data["name"] == "german-credit"
    made = yaml.safe_load((tmp_path / "out" / "deployment.yaml").read_text())
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "2"
    assert data["replicas"]["least"] > 2
