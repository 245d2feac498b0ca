"""The log read out as files, and labels read in."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from steelyard.errors import DataUnfit, RequestInvalid, RunUnwritable
from steelyard.predictions import Joined, Label, StoreUnavailable
from steelyard.predictions.files import read_labels, write_log

_spec = importlib.util.spec_from_file_location("logs", Path(__file__).with_name("conftest.py"))
_logs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_logs)
FOUND = [
    Joined(_logs.made(1, inputs={"note": 'a "b", ü'}, stage="s"), Label(request="r-1", row=0, label="no", at=2.5)),
    Joined(_logs.made(2, decided=0.5, scores=())),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "ndjson"])
def test_the_log_is_written_out_whole(tmp_path, ending):
    path = tmp_path / f"log.{ending}"
    assert write_log(iter(FOUND), path) == 2
    if ending == "csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert json.loads(rows[0]["inputs"]) == {"note": 'a "b", ü'}
        assert json.loads(rows[0]["scores"]) == [0.25, 0.75]
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert rows[0]["inputs"] == {"note": 'a "b", ü'}
    assert [row["id"] for row in rows] == ["r-1#0", "r-2#0"]
    assert rows[0]["time"] == "1970-01-01T00:00:01.000Z"
    assert (rows[0]["label"], rows[0]["label_time"]) == ("no", "1970-01-01T00:00:02.500Z")
    assert float(rows[1]["decided"]) == 0.5
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_log_that_breaks_off_leaves_the_file_of_before(tmp_path):
    def broken():
        yield FOUND[0]
        raise StoreUnavailable("gone")

    path = tmp_path / "log.csv"
    path.write_text("before")
    with pytest.raises(StoreUnavailable):
        write_log(broken(), path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]


def test_an_ending_that_is_no_table_and_a_place_that_cannot_be_written_are_refused(tmp_path):
    for name in ("log.txt", "log.csv.gz", "log"):
        with pytest.raises(RequestInvalid, match=r"must end in \.csv"):
            write_log(FOUND, tmp_path / name)
    with pytest.raises(RunUnwritable, match="cannot write"):
        write_log(FOUND, tmp_path / "no" / "log.csv")


def test_labels_are_read_from_a_table(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("at,label,id\n2026-01-01T01:00:00+01:00,3.0,r-1#2\n,yes,r-2\n")
    first, second = read_labels(file)
    assert first == Label(request="r-1", row=2, label="3", at=1767225600.0)
    assert (second.request, second.row, second.label) == ("r-2", 0, "yes")
    assert second.at > first.at


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,truth\na,b\n", "no column 'label'"),
        ("id,label\nr-1,yes\n,no\n", r"row 1 \(from 0\): 'id' is missing"),
        ("id,label,at\nr-1,yes,never\n", r"row 0 \(from 0\): 'never' is no time"),
    ],
)
def test_a_table_that_holds_no_labels_is_refused_with_its_row(tmp_path, text, said):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(DataUnfit, match=said):
        read_labels(file)
