"""Predicting and measuring a table of readings with a bundle that was trained on one."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from steelyard import api
from steelyard.bundle import About, write
from steelyard.bundle import load as load_bundle
from steelyard.cli import app
from steelyard.contracts import Work
from steelyard.data import load
from steelyard.errors import RowsRefused
from steelyard.recipe import Plan, Train
from steelyard.registry import learners
from steelyard.rows import labelled
from steelyard.spec import Spec
from steelyard.testing.pupils import Watch


def readings(units=24, seed=0):
    rng = np.random.default_rng(seed)
    made = [
        {"unit": f"u{unit}", "cycle": cycle, "wear": round(cycle + rng.normal(), 3), "left": int(length) - cycle}
        for unit in range(units)
        for length in [rng.integers(8, 16)]
        for cycle in range(length)
    ]
    rng.shuffle(made)
    return {name: [row[name] for row in made] for name in made[0]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    sequence = {"unit": "unit", "time": "cycle", "window": 4}
    dataset = load(Spec(data=readings(), target="left", task="regression", sequence=sequence))
    work = Work(task=dataset.task, schema=dataset.schema)
    fitted = learners().get("linear").fit(Plan(), dataset.originals, None, work, Watch())
    place = tmp_path_factory.mktemp("long") / "bundle"
    write(place, fitted.export(), About(dataset.task, dataset.schema, Train(learner="linear"), dataset.fingerprint))
    return place


def written(path, data):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(data)
        writer.writerows(zip(*data.values(), strict=True))
    return path


def test_a_long_table_gets_one_prediction_a_window_beside_its_unit_and_time(bundle, tmp_path):
    data = readings(6, seed=3)
    asked = ["predict", str(bundle), str(written(tmp_path / "new.csv", data)), "-o", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, done.output) == (0, "")
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["unit", "cycle", "prediction"]
    assert len(rows) == sum(max(1, data["unit"].count(unit) - 3) for unit in set(data["unit"]))
    left = dict(zip(zip(data["unit"], map(str, data["cycle"]), strict=True), data["left"], strict=True))
    apart = [abs(float(row["prediction"]) - left[row["unit"], row["cycle"]]) for row in rows]
    assert np.mean(apart) < 3


def test_the_same_windows_written_as_nested_rows_get_the_same_predictions(bundle, tmp_path):
    data = readings(4, seed=5)
    gathered = api.predict(bundle, data)
    order = np.lexsort((data["cycle"], data["unit"]))
    wear, unit = np.array(data["wear"])[order], np.array(data["unit"])[order]
    rows = []
    for name in dict.fromkeys(data["unit"]):
        own = wear[unit == name]
        rows += [{"readings": [[v] for v in own[end - 4 : end].tolist()]} for end in range(4, len(own) + 1)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    nested = api.predict(bundle, tmp_path / "rows.jsonl")
    assert nested.prediction == pytest.approx(gathered.prediction)
    assert not nested.keys


def test_windows_without_a_target_are_not_measured(bundle):
    task = load_bundle(bundle).task
    frame = {"readings": [1, 2, 3], "left": [4, "", None]}
    assert labelled(frame, task) == {"readings": [1], "left": [4]}
    with pytest.raises(RowsRefused, match="no window ends at a reading with a 'left'"):
        labelled({**frame, "left": ["", None, "NA"]}, task)


def test_a_table_without_a_channel_is_refused_by_name(bundle, tmp_path):
    data = readings(3)
    data["waer"] = data.pop("wear")
    with pytest.raises(RowsRefused, match="readings"):
        api.predict(bundle, written(tmp_path / "new.csv", data))
