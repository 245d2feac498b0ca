"""A run in the forms of other tools holds the figures of its report, and never changes."""

import csv
import hashlib
import io
import json
import math
import shutil
import signal
import subprocess
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import steelyard as sy
from steelyard.cli import main
from steelyard.errors import ExportRefused, MissingExtra, RunUnreadable, RunUnwritable
from steelyard.export import FORMATS, Given, export
from steelyard.export.browser.runtime import DIGESTS, cache
from steelyard.export.formats import Place
from steelyard.export.view import View
from steelyard.recipe import digest


def report_of(run):
    return sy.open_run(run).report


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def table(run):
    return list(csv.DictReader(io.StringIO(export(run, "csv", Given()).text)))


# ----------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("which", ["run", "numbers"])
def test_csv_holds_every_trial_and_every_figure_with_its_interval(which, request):
    folder = request.getfixturevalue(which)
    rows, told = table(folder), report_of(folder)["trials"]
    assert [int(row["number"]) for row in rows] == [row["number"] for row in told] == [0, 1, 2]
    for row, truth in zip(rows, told, strict=True):
        for name, figure in truth["validation"].items():
            for bound, end in (("value", ""), ("low", "_low"), ("high", "_high")):
                shown = row[f"{name}{end}"]
                assert (float(shown) if shown else None) == figure[bound]
        assert float(row["latency_p95_ms"]) == truth["latency_ms"]["p95"]
        assert row["recipe"] == truth["recipe"]
        phases = ("loading_seconds", "preparing_seconds", "computing_seconds", "waiting_seconds")
        assert sum(float(row[name]) for name in phases) >= float(row["seconds"]) * 0.9


def test_parquet_is_the_same_table_with_types(run, tmp_path):
    arrow = pytest.importorskip("pyarrow.parquet")
    export(run, "parquet", Given(out=tmp_path / "trials.parquet"))
    read = arrow.read_table(tmp_path / "trials.parquet")
    assert read.schema.metadata[b"steelyard.data"].decode() == report_of(run)["fingerprint"]
    rows = table(run)
    assert read.column_names == list(rows[0])
    for wide, plain in zip(read.to_pylist(), rows, strict=True):
        assert {name: "" if value is None else str(value) for name, value in wide.items()} == plain
    assert str(read.schema.field("roc_auc").type) == "double"
    assert [path.name for path in tmp_path.iterdir()] == ["trials.parquet"]


def test_a_run_without_trials_is_an_empty_table(begun, tmp_path):
    assert export(begun, "csv", Given()).text == "number\n"
    export(begun, "parquet", Given(out=tmp_path / "none.parquet"))
    assert pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "none.parquet").num_rows == 0
    assert export(begun, "openmetrics", Given()).text.endswith("# EOF\n")


# ---------------------------------------------------------------------------------------------- metrics


def samples(text):
    """Return the samples by name and labels, as an independent parser of the standard reads them."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("which", ["run", "numbers"])
def test_openmetrics_is_read_by_prometheus_own_parser_and_holds_the_figures(which, request):
    folder = request.getfixturevalue(which)
    report, found = report_of(folder), samples(export(folder, "openmetrics", Given()).text)
    name = report["name"]
    for row in report["trials"]:
        trial = ("trial", str(row["number"]))
        for metric, figure in row["validation"].items():
            key = ("steelyard_trial_quality", ("bound", "low"), ("metric", metric), ("run", name), trial)
            assert found.get(key) == figure["low"]
        key = ("steelyard_trial_latency_seconds", ("bound", "value"), ("percentile", "95"), ("run", name), trial)
        assert found[key] == pytest.approx(row["latency_ms"]["p95"] / 1000)
        assert found["steelyard_trial_chosen", ("run", name), trial] == row["chosen"]
    test = report["decision"]["test"]
    for metric, figure in test.items():
        labels = (("bound", "value"), ("metric", metric), ("run", name), ("target", report["task"]["target"]))
        assert found["steelyard_run_test_quality", *labels] == figure["value"]
    phases = [value for key, value in found.items() if key[0] == "steelyard_trial_phase_seconds"]
    assert sum(phases) == pytest.approx(report["bottlenecks"]["seconds"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say_of_the_names(run):
    text = export(run, "openmetrics", Given()).text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_hostile_name_cannot_leave_its_label(run):
    view = View.of(run)
    view.report["trials"][0]["title"] = 'a"} 1\nsteelyard_run_feasible 7 # \\'
    text = FORMATS["openmetrics"].write(view, Given()).text
    (title,) = [dict(key[1:])["candidate"] for key in samples(text) if ("trial", "0") in key[1:] and "info" in key[0]]
    assert title == view.report["trials"][0]["title"]


# ------------------------------------------------------------------------------------------- TensorBoard


@pytest.mark.parametrize("which", ["run", "numbers"])
def test_tensorboard_reads_back_curves_figures_and_settings(which, request, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    plugin = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    folder = request.getfixturevalue(which)
    export(folder, "tensorboard", Given(out=tmp_path / "events"))
    report, view = report_of(folder), View.of(folder)
    aim = report["task"]["aim"]
    assert [path.name for path in sorted((tmp_path / "events").iterdir())] == ["trial-000", "trial-001", "trial-002"]
    for row, trial in zip(report["trials"], view.record.trials, strict=True):
        read = accumulator.EventAccumulator(str(tmp_path / "events" / f"trial-{trial.number:03d}")).Reload()
        (scored,) = read.Scalars(f"validation/{aim}")
        assert scored.value == pytest.approx(row["validation"][aim]["value"], rel=1e-6)
        assert scored.wall_time == pytest.approx(view.began)
        parts = {event.step: event.value for event in read.Scalars(f"parts/{aim}")}
        assert parts == pytest.approx({s: v for kind, s, v in view.curve(trial) if kind == "parts"}, rel=1e-6)
        assert all((value > 0) == (scored.value > 0) for value in parts.values())  # in the sign of the metric
        kept = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        hyper = plugin.HParamsPluginData.FromString(kept).session_start_info.hparams
        assert hyper["recipe"].string_value == row["recipe"]


def test_tensorboard_shows_the_training_loss_of_a_net(run, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    trial = View.of(folder).record.trials[1]
    (folder / "bundles" / digest(trial.recipe) / "part-0-loss.csv").write_text("epoch,loss\n1,0.75\n2,0.5\n")
    export(folder, "tensorboard", Given(out=tmp_path / "events"))
    read = [accumulator.EventAccumulator(str(tmp_path / "events" / f"trial-{n:03d}")).Reload() for n in (0, 1)]
    assert [(event.step, event.value) for event in read[1].Scalars("loss/training")] == [(1, 0.75), (2, 0.5)]
    assert "loss/training" not in read[0].Tags()["scalars"]


# ------------------------------------------------------------------------------------------------ MLmodel


def test_an_mlmodel_folder_has_both_flavours_and_all_that_they_name(run, tmp_path):
    import yaml

    export(run, "mlmodel", Given(out=tmp_path / "model"))
    told = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    plain, graph = told["flavors"]["python_function"], told["flavors"]["onnx"]
    assert (tmp_path / "model" / graph["data"]).is_file()
    assert (tmp_path / "model" / plain["data"] / "manifest.json").is_file()
    assert (tmp_path / "model" / plain["code"] / "steelyard" / "bundle" / "pyfunc.py").is_file()
    inputs = {each["name"]: each["type"] for each in json.loads(told["signature"]["inputs"])}
    assert inputs == {"a": "double", "b": "double", "colour": "string"}
    assert [each["name"] for each in json.loads(told["signature"]["outputs"])] == [
        "prediction",
        "probability_no",
        "probability_yes",
    ]


def test_the_loader_needs_nothing_but_the_folder(run, tmp_path):
    export(run, "mlmodel", Given(out=tmp_path / "model"))
    script = """
import sys; sys.path.insert(0, "code")
import importlib, steelyard
model = importlib.import_module("steelyard.bundle.pyfunc")._load_pyfunc("bundle")
assert steelyard.__file__.startswith(sys.argv[1]), steelyard.__file__
assert not {"polars", "onnx", "sklearn", "scipy", "pyarrow", "mlflow", "typer"} & set(sys.modules)
told = model.predict({"a": [0.5, -2.0], "b": [0.1, 1.0], "colour": ["red", "grey"]})
print([*map(str, told["prediction"])], [round(float(p), 6) for p in told["probability_yes"]])
"""
    place = tmp_path / "model"
    command = [sys.executable, "-c", script, str(place)]
    done = subprocess.run(command, cwd=place, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {"a": [0.5, -2.0], "b": [0.1, 1.0], "colour": ["red", "grey"]}
    bundle = sy.open_run(run).bundle
    chances = [round(float(p), 6) for p in bundle.predict_proba(rows)[:, bundle.task.classes.index("yes")]]
    assert done.stdout.strip() == f"{list(bundle.predict(rows))} {chances}"


def test_a_frame_is_answered_by_a_frame_with_its_own_index(numbers):
    pandas = pytest.importorskip("pandas")
    from steelyard.bundle.pyfunc import _load_pyfunc

    model = _load_pyfunc(str(View.of(numbers).bundle))
    rows = pandas.DataFrame({"a": [0.5, math.nan], "b": [0.1, 1.0], "colour": ["red", None]}, index=[7, 3])
    told = model.predict(rows)
    assert list(told.columns) == ["prediction"]
    assert list(told.index) == [7, 3]
    assert told["prediction"].tolist() == model.bundle.predict(rows).tolist()


# ------------------------------------------------------------------------------------------------ refusals


def test_a_run_is_only_read(run, tmp_path):
    before = contents(run)
    for name, found in FORMATS.items():
        if found.place is Place.SERVER:
            continue
        if name == "browser" and not all((cache() / file).is_file() for file in DIGESTS):
            with pytest.raises(ExportRefused, match="needs onnxruntime-web"):
                export(run, name, Given(out=tmp_path / name))
            continue
        export(run, name, Given(out=tmp_path / name))
    assert contents(run) == before


@pytest.mark.parametrize(
    ("to", "given", "said"),
    [
        ("parqet", {}, "did you mean 'parquet'"),
        ("parquet", {}, "name it with -o"),
        ("tensorboard", {}, "name it with -o"),
        ("csv", {"tracking_uri": "http://x"}, "are for --to mlflow"),
        ("csv", {"experiment": "x"}, "are for --to mlflow"),
        ("mlflow", {"out": "x"}, "leave -o out"),
    ],
)
def test_what_does_not_suit_the_format_is_refused(run, to, given, said):
    with pytest.raises(ExportRefused, match=said):
        export(run, to, Given(**given))


def test_a_place_that_is_taken_is_left_as_it_is(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for to in ("tensorboard", "mlmodel"):
        with pytest.raises(ExportRefused, match="is not empty"):
            export(run, to, Given(out=tmp_path / "mine"))
    for to in ("csv", "parquet"):
        with pytest.raises(ExportRefused, match="is a folder"):
            export(run, to, Given(out=tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
    with pytest.raises(RunUnwritable):
        export(run, "parquet", Given(out=tmp_path / "mine" / "file" / "below"))


def test_what_is_not_there_is_said(run, begun, tmp_path, monkeypatch):
    with pytest.raises(RunUnreadable):
        export(tmp_path, "csv", Given())
    with pytest.raises(ExportRefused, match="has not come to a bundle"):
        export(begun, "mlmodel", Given(out=tmp_path / "model"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"steelyard\[tensorboard\]"):
        export(run, "tensorboard", Given(out=tmp_path / "events"))


def test_the_command_prints_text_alone_or_where_it_went(run, tmp_path, monkeypatch, capsys):
    def said(*words):
        monkeypatch.setattr(sys, "argv", ["steelyard", "export", str(run), *map(str, words)])
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ending:
            main()
        signal.signal(signal.SIGTERM, before)
        return ending.value.code, *capsys.readouterr()

    assert said("--to", "csv") == (0, export(run, "csv", Given()).text, "")
    code, out, _ = said("--to", "openmetrics", "-o", tmp_path / "run.prom")
    assert (code, out.splitlines()[0]) == (0, f"written to {tmp_path / 'run.prom'}")
    assert samples((tmp_path / "run.prom").read_text())
    code, out, _ = said("--to", "csv", "--json")
    assert json.loads(out)["said"] == ["3 trials"]
    code, out, err = said("--to", "xml")
    assert (code, out) == (2, "")
    assert err.startswith("steelyard: there is no format 'xml'")
