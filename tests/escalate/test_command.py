"""`steelyard escalate` and what is served by it, as their users call them."""

import json
import os
import subprocess
import sys

import httpx
import numpy as np
import pytest
import yaml

from steelyard.errors import RequestInvalid, ServerRefused, ServerUnreachable
from steelyard.escalate import Asked, describe, escalate
from steelyard.serve import Settings, make_app
from steelyard.serve.escalation import read_plan

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "steelyard.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def calibrated(world, strong):
    asked = Asked(to=f"http://127.0.0.1:{strong.port}", price="0.02 USD", tolerance=0.02)
    return escalate(world.weak, world.file, asked)


def test_the_plan_says_what_was_measured_and_promised(world, calibrated):
    figures, share = calibrated.figures, calibrated.escalated
    accuracy = {name: figures["accuracy"][name]["value"] for name in ("never", "always", "rule")}
    assert accuracy["never"] == pytest.approx((world.cheap.predict(world.rows) == world.y.astype(str)).mean())
    assert accuracy["always"] == pytest.approx((world.dear.predict(world.rows) == world.y.astype(str)).mean())
    assert accuracy["rule"] > accuracy["always"] - 0.02
    assert 0 < share.low < share.share < share.high < 0.6
    assert share.rows == len(world.rows)
    costs = figures["cost_per_million"]
    assert costs["always"]["value"] == 20_000
    assert costs["rule"]["value"] == pytest.approx(20_000 * share.share, rel=0.05)
    assert costs["saved_against_always"]["value"] == pytest.approx(20_000 - costs["rule"]["value"])
    assert calibrated.promise.lost_at_most == 0.02
    shown = describe(calibrated)
    assert "promises with 95% confidence: at most 0.02 in accuracy is lost against always asking http://" in shown
    assert "saves " in shown


def test_what_is_served_by_the_plan_escalates_as_often_as_it_promised_and_shifted_rows_raise_an_alarm(
    world, calibrated, tmp_path, caplog, server_of
):
    path = tmp_path / "escalation.yaml"
    path.write_text(calibrated.to_yaml())
    assert read_plan(path) == calibrated
    server = server_of(make_app(world.weak, Settings(no_keys=True, escalate=path)))
    try:
        for start in range(0, len(world.rows), 10):
            found = server.post("/predict", json={"rows": world.rows[start : start + 10]})
            assert found.status_code == 200
        metrics = server.get("/metrics").text
        assert _alarms(metrics) == {"above": 0, "below": 0}
        unsure = float(next(x for x in metrics.splitlines() if "escalation_unsure_rows_total{" in x).split()[-1])
        assert unsure == pytest.approx(calibrated.escalated.share * len(world.rows))
        noise = np.random.default_rng(0)
        for start in range(0, 400, 10):
            some = [
                {name: float(np.clip(value + noise.normal(0, 6), 0, 16)) for name, value in row.items()}
                for row in world.rows[start : start + 10]
            ]
            server.post("/predict", json={"rows": some})
        metrics = server.get("/metrics").text
        assert _alarms(metrics)["above"] > 0
        assert "calibrate again with `steelyard escalate`" in caplog.text
    finally:
        server.close()


@pytest.mark.slow
def test_the_command_writes_the_file_and_says_what_it_saves(world, strong, tmp_path):
    out = tmp_path / "escalation.yaml"
    words = ["--price", "0.02 USD", "--tolerance", 0.02, "--budget-share", 0.5, "--money-per-hour", "5 USD"]
    address = f"http://127.0.0.1:{strong.port}"
    done = command("escalate", world.weak, world.file, "--to", address, *words, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "against always escalating" in done.stdout
    plan = read_plan(out)
    assert (plan.budget.share, plan.rows_per_hour) == (0.5, 250)
    assert "0.02 USD" in out.read_text()


@pytest.mark.slow
def test_persons_are_calibrated_for_and_the_labels_come_back(world, tmp_path):
    out = tmp_path / "escalation.yaml"
    words = ["--to", "person", "--price", "0.40 USD", "--max-error", 0.05, "--accuracy", 0.98, "--json", "-o", out]
    done = command("escalate", world.weak, world.file, *words)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data == yaml.safe_load(out.read_text())
    error = data["figures"]["error"]
    assert error["kept"]["value"] < 0.05
    assert error["always"]["how"] == "assumed"
    assert error["rule"]["value"] < error["never"]["value"]
    assert command("reviews", "export", tmp_path / "reviews.db").returncode == 41


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": "person"}, "--price is needed"),
        ({"to": "person", "price": "1 USD", "tolerance": 0.1}, "for persons give --max-error"),
        ({"to": "person", "price": "1 USD", "max_error": 1.0}, "--max-error must lie between"),
        ({"to": "person", "price": "1 USD", "accuracy": 0.0}, "--accuracy must be above 0"),
        ({"to": "person", "price": "1 USD", "key_env": "K"}, "about another server"),
        ({"to": "http://x", "max_error": 0.1}, "about persons"),
        ({"to": "http://x", "tolerance": 0.0}, "--tolerance must be above 0"),
        ({"to": "http://x", "confidence": 0.999}, "--confidence must be from 0.5 to 0.99"),
        ({"to": "http://x", "measure": "margins"}, "did you mean 'margin'"),
        ({"to": "somebody"}, "--to must be 'person' or the address"),
    ],
)
def test_options_that_make_no_sense_are_refused_together(options, said):
    with pytest.raises(RequestInvalid) as problem:
        Asked(**options)
    assert said in str(problem.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"price": "x"}, "--price: 'x' is not an amount"),
        ({"price": "-1 USD"}, "--price must be 0 or more"),
        ({"price": "1 EUR"}, "give both in one currency"),
        ({"price": "1 USD", "key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY is empty"),
        ({"price": "1 USD", "metric": "accurcy"}, "did you mean 'accuracy'"),
    ],
)
def test_prices_and_keys_that_are_none_are_refused(world, options, said):
    with pytest.raises(Exception, match=r".") as problem:
        escalate(world.weak, world.file, Asked(to="http://127.0.0.1:9", **options))
    assert said in str(problem.value)


def test_a_budget_that_pays_for_nothing_is_refused(world, strong):
    for more, said in (
        ({"budget_share": 2.0}, "--budget-share"),
        ({"money_per_hour": "1 USD"}, "does not pay for one row"),
    ):
        asked = Asked(to=f"http://127.0.0.1:{strong.port}", price="2 USD", tolerance=0.02, **more)
        with pytest.raises(RequestInvalid, match=said):
            escalate(world.weak, world.file, asked)


def test_a_server_that_is_not_there_or_has_another_model_is_named(world, strong):
    with pytest.raises(ServerUnreachable):
        escalate(world.weak, world.file, Asked(to="http://127.0.0.1:9", tolerance=0.02))
    with pytest.raises(ServerRefused, match="no model is named 'other'"):
        escalate(world.weak, world.file, Asked(to=f"http://127.0.0.1:{strong.port}", model="other"))
    assert httpx.get(f"http://127.0.0.1:{strong.port}/v2/health/live").status_code == 200


def _alarms(metrics):
    lines = [line for line in metrics.splitlines() if line.startswith("steelyard_escalation_alarms_total{")]
    return {line.partition('side="')[2].partition('"')[0]: int(line.split()[-1]) for line in lines}
