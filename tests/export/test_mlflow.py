"""MLflow itself, unchanged, takes a run and loads its model; in an environment of its own (`make test-mlflow`)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import steelyard as sy
from steelyard.export.view import View

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("STEELYARD_MLFLOW", ROOT / ".venv-mlflow")) / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="MLflow is not installed beside (make test-mlflow)"),
]
ROWS = {"a": [0.5, -2.0, 0.0], "b": [0.1, 1.0, -3.0], "colour": ["red", "grey", "blue"]}
ASK = """
import json, sys
import mlflow, pandas
uri, run, rows = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
mlflow.set_tracking_uri(uri)
client = mlflow.MlflowClient()
one = client.get_run(run)
below = client.search_runs([one.info.experiment_id], f"tags.mlflow.parentRunId = '{run}'")
model = mlflow.pyfunc.load_model(f"runs:/{run}/model")
print(json.dumps({
    "name": one.info.run_name, "status": one.info.status, "params": one.data.params, "metrics": one.data.metrics,
    "trials": {r.data.tags["mlflow.runName"]: {
        "params": r.data.params, "metrics": r.data.metrics,
        "curve": [[m.step, m.value] for m in client.get_metric_history(r.info.run_id, sys.argv[4])]} for r in below},
    "artefacts": sorted(each.path for each in client.list_artifacts(run)),
    "predicted": model.predict(pandas.DataFrame(rows)).to_dict("list"),
    "graph": len(mlflow.onnx.load_model(f"runs:/{run}/model").graph.node),
}))
"""


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW_"))}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "MLFLOW_DISABLE_TELEMETRY": "true"}


def called(*words, cwd):
    command = [str(PYTHON), *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked(run, tmp_path_factory):
    """Where a run went, its id, and what MLflow tells of it."""
    home = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{home}/tracking.db"
    words = ("export", run, "--to", "mlflow", "--tracking-uri", uri, "--experiment", "bought", "--json")
    said = json.loads(called("-m", "steelyard.cli", *words, cwd=home))
    number = said["place"].removeprefix("runs:/")
    told = called("-c", ASK, uri, number, json.dumps(ROWS), "parts_roc_auc", cwd=home)
    return home, number, json.loads(told.splitlines()[-1])


def test_the_run_holds_what_the_report_says(run, tracked):
    report, told = sy.open_run(run).report, tracked[2]
    assert (told["name"], told["status"]) == ("bought", "FINISHED")
    assert told["params"]["fingerprint"] == report["fingerprint"]
    for name, figure in report["decision"]["test"].items():
        assert told["metrics"][f"test_{name}"] == pytest.approx(figure["value"])
        assert told["metrics"][f"test_{name}_low"] == pytest.approx(figure["low"])
    assert {"card.md", "model", "report.html", "report.json", "spec.yaml"} <= set(told["artefacts"])


def test_every_trial_is_a_run_below_it_with_settings_figures_and_its_curve(run, tracked):
    report, trials = sy.open_run(run).report, tracked[2]["trials"]
    assert len(trials) == len(report["trials"]) == 3
    view = View.of(run)
    for row, trial in zip(report["trials"], view.record.trials, strict=True):
        told = trials[f"{row['number']}: {row['title']}"]
        assert told["params"]["recipe"] == row["recipe"]
        assert told["metrics"]["roc_auc"] == pytest.approx(row["validation"]["roc_auc"]["value"])
        assert told["metrics"]["latency_p95_ms"] == pytest.approx(row["latency_ms"]["p95"])
        parts = [[step, pytest.approx(value)] for kind, step, value in view.curve(trial) if kind == "parts"]
        assert sorted(told["curve"]) == parts
        assert len(parts) >= 5


def test_the_model_that_mlflow_loads_answers_as_the_bundle(run, tracked):
    bundle, told = sy.open_run(run).bundle, tracked[2]
    assert told["predicted"]["prediction"] == list(bundle.predict(ROWS))
    chances = bundle.predict_proba(ROWS)
    for code, name in enumerate(bundle.task.classes):
        assert told["predicted"][f"probability_{name}"] == pytest.approx(chances[:, code].tolist())
    assert told["graph"] > 0


def test_mlflows_own_command_predicts_with_the_folder(run, tracked, tmp_path):
    called("-m", "steelyard.cli", "export", run, "--to", "mlmodel", "-o", tmp_path / "model", cwd=tmp_path)
    (tmp_path / "rows.json").write_text(json.dumps({"dataframe_split": {"columns": list(ROWS), "data": rows_of()}}))
    words = (
        "-m",
        tmp_path / "model",
        "-i",
        tmp_path / "rows.json",
        "-o",
        tmp_path / "out.json",
        "--env-manager",
        "local",
    )
    called("-m", "mlflow", "models", "predict", *words, cwd=tmp_path)
    told = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [row["prediction"] for row in told] == list(sy.open_run(run).bundle.predict(ROWS))


@pytest.mark.parametrize("uri", ["foo://bar", "file:///proc/none"])
def test_where_mlflow_cannot_write_it_is_one_sentence_with_the_way_out(run, tmp_path, uri):
    words = ["-m", "steelyard.cli", "export", run, "--to", "mlflow", "--tracking-uri", uri]
    command = [str(PYTHON), *map(str, words)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("steelyard: ")]
    assert "MLflow refuses" in line
    assert "--tracking-uri" in line
    assert "Traceback" not in done.stderr


def rows_of():
    return [list(row) for row in zip(*ROWS.values(), strict=True)]
