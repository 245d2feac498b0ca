"""The alert rules: Prometheus takes them, they fire when they should and not otherwise, and every metric is ours."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from steelyard.errors import RequestInvalid
from steelyard.serve import parse_log, parse_price
from steelyard.serve.alerts import Targets, written
from steelyard.serve.metrics import Metrics, of_workers

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian, Ubuntu: apt-get install prometheus)"
)
THEIRS = {"up"}
ELSEWHERE = {
    "steelyard_escalation_alarms_total",
    "steelyard_compared_rows_total",
    "steelyard_worker_restarts_total",
}
"""Told by servers that escalate, by those that compare versions, and by those of several workers."""
MODEL = 'job="steelyard",instance="a:1",model="m",version="1"'
SERVER = 'job="steelyard",instance="a:1"'


def promtool(*words):
    return subprocess.run([PROMTOOL, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def rules(text=None):
    return yaml.safe_load(text or written(Targets()))["groups"][0]["rules"]


@needs_promtool
@pytest.mark.parametrize("targets", [Targets(), Targets(p95_ms=0.5, cost_per_million=1e-6, job="a/b-c", errors=1e-5)])
def test_prometheus_takes_the_rules(tmp_path, targets):
    (tmp_path / "alerts.yaml").write_text(written(targets))
    done = promtool("check", "rules", tmp_path / "alerts.yaml")
    assert done.returncode == 0, done.stderr
    assert "14 rules found" in done.stdout


def test_every_metric_of_a_rule_is_one_that_the_server_tells(start, tmp_path):
    server = start(log=parse_log(str(tmp_path / "log.db")), price=parse_price("1 USD"))
    server.post("/predict", json={"age": 1})
    told = set(re.findall(r"^# TYPE (\S+)", server.get("/metrics").text, re.MULTILINE))
    asked = set()
    for rule in rules():
        expression = re.sub(r'\{[^}]*\}|"[^"]*"|(?:by|on) \([^)]*\)', "", rule["expr"])
        asked |= set(re.findall(r"\b(?:steelyard|process)_[a-z_]+|\bup\b", expression))
    assert len(asked) > 8
    histograms = {name.removesuffix("_bucket") for name in asked if name.endswith("_bucket")}
    assert {name for name in asked if not name.endswith("_bucket")} - told - THEIRS - ELSEWHERE == set()
    assert histograms <= told


def test_every_metric_and_every_alert_stands_on_the_page(start, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "observe.md").read_text(encoding="utf-8")
    server = start(log=parse_log(str(tmp_path / "log.db")), price=parse_price("1 USD"))
    server.post("/predict", json={})
    told = dict(re.findall(r"^# TYPE (\S+) (\S+)", server.get("/metrics").text, re.MULTILINE))
    listed = dict(re.findall(r"^\| `(\w+)[^`]*` \| (counter|gauge|histogram) \|", page, re.MULTILINE))
    assert listed == told
    assert {rule["alert"] for rule in rules() if "alert" in rule} == set(re.findall(r"`(Steelyard\w+)`", page))


def test_what_the_workers_alert_asks_for_is_what_their_supervisor_tells():
    metrics = Metrics()
    of_workers(metrics)
    assert "steelyard_worker_restarts_total 0" in metrics.text().splitlines()
    (rule,) = [rule for rule in rules() if rule.get("alert") == "SteelyardWorkersDie"]
    assert "steelyard_worker_restarts_total{" in rule["expr"]


def test_every_alert_says_what_is_wrong_and_what_to_do():
    for rule in rules():
        if "alert" in rule:
            assert set(rule["annotations"]) == {"summary", "action"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert "$job" not in rule["expr"]


FIRES = {
    "SteelyardAbsent": {'up{job="other"}': "1x60"},
    "SteelyardDown": {f"up{{{SERVER}}}": "1 0x60"},
    "SteelyardNotReady": {f"steelyard_ready{{{SERVER}}}": "1 0x60"},
    "SteelyardRestarts": {f"process_start_time_seconds{{{SERVER}}}": "0x29 1 1 2 2 3 3 4x30"},
    "SteelyardWorkersDie": {f"steelyard_worker_restarts_total{{{SERVER}}}": "0x40 3x20"},
    "SteelyardErrors": {
        f'steelyard_requests_total{{{SERVER},route="predict",code="200"}}': "0+98x60",
        f'steelyard_requests_total{{{SERVER},route="infer",code="500"}}': "0+2x60",
    },
    "SteelyardSlow": {
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="0.25"}}': "0+90x60",
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="0.5"}}': "0+100x60",
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="+Inf"}}': "0+100x60",
    },
    "SteelyardQueueNearlyFull": {
        f"steelyard_queue_rows{{{MODEL}}}": "900x60",
        f"steelyard_queue_limit_rows{{{SERVER}}}": "1024x60",
    },
    "SteelyardEscalationOffPromise": {f'steelyard_escalation_alarms_total{{{MODEL},side="above"}}': "0x50 1x20"},
    "SteelyardShadowDisagrees": {
        f'steelyard_compared_rows_total{{{MODEL},role="shadow",outcome="agreed"}}': "0+80x60",
        f'steelyard_compared_rows_total{{{MODEL},role="shadow",outcome="disagreed"}}': "0+20x60",
        f'steelyard_compared_rows_total{{{MODEL},role="shadow",outcome="dropped"}}': "0+900x60",
    },
    "SteelyardDear": {
        f'steelyard_cost_total{{{SERVER},currency="USD"}}': "0+0.2x100",
        f"steelyard_rows_total{{{MODEL}}}": "0+1000x100",
    },
    "SteelyardLogDrops": {f'steelyard_log_dropped_total{{{SERVER},cause="queue_full"}}': "0x50 5x20"},
    "SteelyardLogFailing": {f"steelyard_log_failing{{{SERVER}}}": "1x60"},
}
QUIET = {
    "SteelyardAbsent": {f"up{{{SERVER}}}": "1x60"},
    "SteelyardDown": {f"up{{{SERVER}}}": "1x59 0"},
    "SteelyardNotReady": {f"steelyard_ready{{{SERVER}}}": "0x50 1x20"},
    "SteelyardRestarts": {f"process_start_time_seconds{{{SERVER}}}": "0x30 1x30"},
    "SteelyardWorkersDie": {f"steelyard_worker_restarts_total{{{SERVER}}}": "5x40 6x20"},
    "SteelyardErrors": {
        f'steelyard_requests_total{{{SERVER},route="predict",code="200"}}': "0+995x60",
        f'steelyard_requests_total{{{SERVER},route="predict",code="500"}}': "0+5x60",
        f'steelyard_requests_total{{{SERVER},route="predict",code="400"}}': "0+500x60",
        f'steelyard_requests_total{{{SERVER},route="health",code="503"}}': "0+500x60",
    },
    "SteelyardSlow": {
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="0.25"}}': "0+96x60",
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="0.5"}}': "0+100x60",
        f'steelyard_request_seconds_bucket{{{SERVER},route="predict",le="+Inf"}}': "0+100x60",
    },
    "SteelyardQueueNearlyFull": {
        f"steelyard_queue_rows{{{MODEL}}}": "700x60",
        f"steelyard_queue_limit_rows{{{SERVER}}}": "1024x60",
    },
    "SteelyardEscalationOffPromise": {f'steelyard_escalation_alarms_total{{{MODEL},side="above"}}': "1x70"},
    "SteelyardShadowDisagrees": {
        f'steelyard_compared_rows_total{{{MODEL},role="shadow",outcome="agreed"}}': "0+95x60",
        f'steelyard_compared_rows_total{{{MODEL},role="shadow",outcome="disagreed"}}': "0+5x60",
    },
    "SteelyardDear": {
        f'steelyard_cost_total{{{SERVER},currency="USD"}}': "0+0.02x100",
        f"steelyard_rows_total{{{MODEL}}}": "0+1000x100",
    },
    "SteelyardLogDrops": {f'steelyard_log_dropped_total{{{SERVER},cause="queue_full"}}': "5x60"},
    "SteelyardLogFailing": {f"steelyard_log_failing{{{SERVER}}}": "0x30 1 0x30"},
}
AT = {"SteelyardRestarts": "36m", "SteelyardLogDrops": "55m", "SteelyardDear": "95m"}


def case(alert, series, *, fires):
    """Return a unit test of promtool; it says nothing of labels and annotations, which differ by alert."""
    when = AT.get(alert, "60m")
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                "eval_time": when,
                "exp_samples": [{"labels": "{}", "value": float(fires)}],
            }
        ],
    }


@needs_promtool
def test_alerts_fire_when_they_should_and_not_otherwise(tmp_path):
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert set(FIRES) == set(QUIET) == alerts
    (tmp_path / "alerts.yaml").write_text(written(Targets()))
    cases = [case(alert, FIRES[alert], fires=True) for alert in sorted(alerts)]
    cases += [case(alert, QUIET[alert], fires=False) for alert in sorted(alerts)]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": cases}))
    done = promtool("test", "rules", tmp_path / "tests.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_test_of_the_rules_would_see_one_that_does_not_fire(tmp_path):
    (tmp_path / "alerts.yaml").write_text(written(Targets(queue=0.95)))
    wrong = case("SteelyardQueueNearlyFull", FIRES["SteelyardQueueNearlyFull"], fires=True)
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": [wrong]}))
    assert promtool("test", "rules", tmp_path / "tests.yaml").returncode != 0


@pytest.mark.parametrize(
    "targets", [{"errors": 0}, {"queue": 1.5}, {"p95_ms": 0}, {"cost_per_million": -1}, {"job": 'a"} or vector(1)'}]
)
def test_a_target_out_of_its_range_is_refused(targets):
    with pytest.raises(RequestInvalid):
        Targets(**targets)
