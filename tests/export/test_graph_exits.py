"""The graphs on other ways out answer as the bundle does: ONNX Runtime's format, plain ONNX with a page of Python."""

import csv
import json
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import steelyard as sy
from steelyard.bundle import FRONT_ENDS, load
from steelyard.bundle.opening import read
from steelyard.cli import main
from steelyard.contracts import Artefact, Feed
from steelyard.errors import ExportRefused, MissingExtra, RunUnreadable
from steelyard.export import Given, export
from steelyard.export.bundles import graphs_of
from steelyard.export.ort import CONFIG, MODEL, _operators

COLUMNS = {
    "age": np.array([3.0, 33.0, np.nan]),
    "when": np.array([0.0, 1e9, np.nan]),
    "city": np.array(["a", "never", None], object),
    "note": np.array(["never late", "kind 客", ""], object),
}


@pytest.fixture(scope="module")
def cascade(maker, tmp_path_factory):
    home = tmp_path_factory.mktemp("cascade")
    members = [maker.write(home / str(seed), maker.artefact(seed=seed)) for seed in (1, 2)]
    return maker.joined(home / "cascade", {"rule": "cascade", "measure": "margin", "at": 0.5}, *members)


def scored(file, opened, columns):
    """Return what a graph of an exit says of rows, through the front ends of its bundle."""
    artefact = opened.artefact()
    fronts = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(["scores"], {n: t for front in fronts for n, t in front(columns).items()})[0]


# ------------------------------------------------------------------------------------------------ ORT format


def test_the_ort_file_answers_as_the_bundle_and_its_list_names_every_operator(maker, tmp_path):
    folder = maker.write(tmp_path / "bundle", maker.mixed())
    export(folder, "ort", Given(out=tmp_path / "ort"))
    told = load(folder).answer(COLUMNS).scores
    np.testing.assert_allclose(scored(tmp_path / "ort" / MODEL, read(folder), COLUMNS), told, atol=1e-6)
    config = (tmp_path / "ort" / CONFIG).read_text()
    listed = {name.partition(":")[2] for name in _operators(config)}
    assert {"LabelEncoder", "MatMul", "Gather", "Softmax"} <= listed
    assert '"inputs"' in config, "types are listed too"
    assert "nchwc" not in config.lower(), "no layout of one processor"
    assert (tmp_path / "ort" / "files" / "words.json").read_bytes() == read(folder).files["files/words.json"]
    readme = (tmp_path / "ort" / "README.md").read_text()
    flags = ("--minimal_build", f"--include_ops_by_config ../{CONFIG}", "--enable_reduced_operator_type_support")
    assert all(flag in readme for flag in flags)
    assert "--disable_ml_ops" not in readme, "LabelEncoder is one of those"
    assert f"{(tmp_path / 'ort' / MODEL).stat().st_size:,}" in readme


def test_each_graph_of_a_cascade_becomes_a_file_of_its_own(cascade, tmp_path):
    export(cascade, "ort", Given(out=tmp_path / "ort"))
    opened = read(cascade)
    for place, one in graphs_of(opened):
        found = scored(tmp_path / "ort" / place / MODEL, one, COLUMNS)
        np.testing.assert_allclose(found, scored_by(one), atol=1e-6)
    about = json.loads((tmp_path / "ort" / "inputs.json").read_text())
    assert about["model"]["rule"]["rule"] == "cascade"
    assert [each["graph"] for each in about["model"]["members"]] == [f"{p}/{MODEL}" for p, _ in graphs_of(opened)]
    assert "--disable_ml_ops" in (tmp_path / "ort" / "README.md").read_text()


def scored_by(one):
    session = onnxruntime.InferenceSession(one.artefact().graph, providers=["CPUExecutionProvider"])
    return session.run(["scores"], {"x": COLUMNS["age"].reshape(-1, 1)})[0]


def test_the_logging_of_the_process_and_its_output_stay_as_they_were(cascade, tmp_path, capfd):
    before = logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger().manager.disable
    export(cascade, "ort", Given(out=tmp_path / "ort"))
    assert (logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger().manager.disable) == before
    assert capfd.readouterr() == ("", "")


def test_operators_are_read_from_the_list_types_and_all():
    config = '# note\nai.onnx;13;Add{"inputs": {"0": ["float", "int64_t"]}},Cast\ncom.microsoft;1;QGemm\n'
    assert _operators(config) == ["ai.onnx:Add", "ai.onnx:Cast", "com.microsoft:QGemm"]


def test_without_onnx_the_extra_is_named(cascade, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for to in ("ort", "onnx"):
        with pytest.raises(MissingExtra, match=r"steelyard\[train\]"):
            export(cascade, to, Given(out=tmp_path / to))


# ----------------------------------------------------------------------------------------------- plain ONNX


def python(folder, rows):
    """Return what the example prints of a file of rows, where nothing of Steelyard can be imported."""
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))
    block = (
        "import sys, runpy; sys.modules['steelyard'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", block, "predict.py", "rows.csv"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("which", ["run", "numbers"])
def test_the_example_answers_as_the_bundle_with_onnxruntime_and_numpy_alone(which, request, tmp_path):
    folder = request.getfixturevalue(which)
    export(folder, "onnx", Given(out=tmp_path / "plain"))
    rows = {"a": ["0.5", "-2.0", "", " 1e-3 "], "b": ["0.1", "NA", "1", "inf"], "colour": ["red", "grey", "", " red"]}
    bundle = sy.open_run(folder).bundle
    told = bundle.answer_rows(rows)
    found = python(tmp_path / "plain", rows)
    np.testing.assert_allclose(
        [[float(cell) for cell in line[1:]] for line in found], told.scores, atol=2e-6, rtol=1e-6
    )
    if bundle.task.classes:
        assert [line[0] for line in found] == bundle.predict(rows).tolist()
    about = json.loads((tmp_path / "plain" / "inputs.json").read_text())
    assert [column["name"] for column in about["columns"]] == [column.name for column in bundle.reads.features]


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ({"rule": "blend", "weights": [1, 3]}, 2),
        ({"rule": "threshold", "positive": 1, "at": 0.9}, 1),
        ({"rule": "temperature", "at": 3.0}, 1),
    ],
    ids=["blend", "threshold", "temperature"],
)
def test_rules_of_the_example_are_those_of_the_bundle(maker, rule, count, tmp_path):
    members = [maker.write(tmp_path / str(seed), maker.artefact(seed=seed)) for seed in range(1, count + 1)]
    folder = maker.joined(tmp_path / "joined", rule, *members)
    export(folder, "onnx", Given(out=tmp_path / "plain"))
    rows = {"age": ["3", "33", "71.5", ""]}
    bundle = load(folder)
    found = python(tmp_path / "plain", rows)
    assert [line[0] for line in found] == bundle.predict(rows).tolist()
    scores = [[float(cell) for cell in line[1:]] for line in found]
    np.testing.assert_allclose(scores, bundle.predict_proba(rows), atol=2e-6)
    assert (tmp_path / "plain" / "joined.onnx").exists() == (rule["rule"] != "temperature")


def test_inputs_are_told_in_words_and_what_the_example_cannot_do_is_said(maker, cascade, tmp_path):
    folder = maker.write(tmp_path / "bundle", maker.mixed())
    said = export(folder, "onnx", Given(out=tmp_path / "text")).said
    assert any("no predict.py: its front ends are more than numbers" in line for line in said)
    inputs = json.loads((tmp_path / "text" / "inputs.json").read_text())["model"]["inputs"]
    assert [each["name"] for each in inputs] == ["x", "s", "ids", "counts"]
    assert [each["type"] for each in inputs] == ["double", "string", "int64", "float"]
    assert "seconds" in inputs[0]["made"]
    assert "n-grams" in inputs[2]["made"]
    assert inputs[2]["files"] == "files/"
    assert not (tmp_path / "text" / "predict.py").exists()
    said = export(cascade, "onnx", Given(out=tmp_path / "cascade")).said
    assert "no predict.py: the rule 'cascade' is not a matter of a page" in said
    assert len(list((tmp_path / "cascade").rglob("model.onnx"))) == 2


def test_the_commands_of_the_page_do_what_it_says(run, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ steelyard (export runs/credit-1 --to (ort|onnx|c) -o \w+)", page, re.MULTILINE)
    assert [to for _, to in lines] == ["ort", "onnx", "c"]
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    for words, to in lines:
        monkeypatch.setattr(sys, "argv", ["steelyard", *words.replace("runs/credit-1", str(run)).split()])
        with pytest.raises(SystemExit) as ending:
            main()
        assert (to, ending.value.code, capsys.readouterr().err) == (to, 0, "")
    signal.signal(signal.SIGTERM, before)
    named = {"small": (MODEL, CONFIG), "plain": ("model.onnx", "predict.py"), "header": ("steelyard.h", "example.c")}
    for folder, files in named.items():
        for file in (*files, "manifest.json", "README.md"):
            assert (tmp_path / folder / file).is_file()
        assert all(f"`{file}`" in page for file in files)


def test_neither_a_run_nor_a_bundle_is_refused(tmp_path, begun):
    for to in ("ort", "onnx", "c"):
        with pytest.raises(RunUnreadable):
            export(tmp_path, to, Given(out=tmp_path / "out"))
        with pytest.raises(ExportRefused, match="has not come to a bundle"):
            export(begun, to, Given(out=tmp_path / "out"))


def test_a_graph_that_onnx_runtime_cannot_convert_is_refused_in_one_sentence(maker, tmp_path, monkeypatch):
    folder = maker.write(
        tmp_path / "bundle", Artefact(maker.numbers().SerializeToString(), (Feed("numbers", ("x",), ("age",)),))
    )
    fails = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    tool = pytest.importorskip("onnxruntime.tools.convert_onnx_models_to_ort")

    def refuse(*_, **__):
        raise fails.Fail("no kernel\nfor it")

    monkeypatch.setattr(tool, "convert_onnx_models_to_ort", refuse)
    with pytest.raises(ExportRefused, match="cannot convert the graph: no kernel; export it with --to onnx"):
        export(folder, "ort", Given(out=tmp_path / "ort"))
