"""A folder of recordings, from the run to what its bundle says of another folder."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest

import steelyard as sy
from steelyard.capacity.command import _rows_of_run
from steelyard.data import load, store
from steelyard.data.waves import encode


def fill(folder, rows, seed):
    random = np.random.default_rng(seed)
    for i in range(rows):
        name, pitch = (("low", 400), ("high", 900))[i % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        tone = np.sin(2 * np.pi * pitch * np.arange(800) / 8000 * random.uniform(0.9, 1.1))
        (folder / name / f"{i}.wav").write_bytes(encode(0.2 * tone + random.normal(scale=0.02, size=800), 8000))
    return folder


def test_rows_of_a_run_go_to_a_server_as_bytes_not_as_paths(tmp_path):
    data = load(sy.Spec(data=str(fill(tmp_path / "calls", 24, 0)), target="label", split={"repeats": 1}))
    store.save(data, tmp_path / "run")
    rows = _rows_of_run(SimpleNamespace(folder=tmp_path / "run"))
    assert len(rows) == len(data.partition.scored)
    assert all(base64.b64decode(row["audio"])[:4] == b"RIFF" for row in rows)


@pytest.mark.slow
def test_a_folder_of_recordings_becomes_a_bundle_that_answers_another_folder(tmp_path):
    calls, more = fill(tmp_path / "calls", 120, 0), fill(tmp_path / "more", 20, 1)
    asked = sy.Spec(data=str(calls), target="label", budget={"trials": 2}, split={"folds": 2, "repeats": 1})
    run = sy.run(asked, out=tmp_path / "run", in_process=True)
    assert run.report["columns"] == [{"name": "audio", "kind": "audio", "missing": 0.0}]
    said = sy.predict(run.folder, more)
    assert len(said.prediction) == 20
    assert said.prediction[:10].count("high") >= 8
    assert sy.evaluate(run.folder, more)["quality"]["accuracy"]["value"] >= 0.8
