"""Tables larger than memory: read in blocks, drawn from evenly, and said."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from steelyard.data import load
from steelyard.data.fast import as_list
from steelyard.data.readers import delimited
from steelyard.data.readers.columnar import draw_parquet
from steelyard.data.readers.drawing import Drawing
from steelyard.data.room import Room
from steelyard.errors import DataUnreadable

ROWS = 3_000
FULL = Room(1e15, "all the memory there is")


@pytest.fixture
def big(tmp_path):
    """A CSV file of 3,000 rows, with quoted cells that hold commas, line ends and quotation marks."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=ROWS),
            "place": [f"n{i}" for i in range(ROWS)],
            "note": [f'a "quoted" line,\nand one more: {i % 7}' if i % 3 else "plain" for i in range(ROWS)],
            "y": np.where(rng.random(ROWS) < 0.5, "yes", "no"),
        }
    )
    frame.write_csv(tmp_path / "big.csv")
    frame.write_parquet(tmp_path / "big.parquet")
    (tmp_path / "big.csv.gz").write_bytes(gzip.compress((tmp_path / "big.csv").read_bytes()))
    return tmp_path


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 5_000)
    monkeypatch.setattr("steelyard.data.readers.columnar.BATCH", 500)


def cells(columns):
    return {name: as_list(values) for name, values in columns.items()}


@pytest.mark.parametrize("name", ["big.csv", "big.csv.gz"])
def test_blocks_hold_the_same_cells_as_the_whole_file(big, small_blocks, name):
    columns, drawn = delimited.draw(big / name, FULL)
    assert drawn is None
    assert cells(columns) == cells(delimited.read(big / "big.csv"))
    assert len(list(delimited.records(delimited.pieces(big / name, 5_000)))) > 10


@pytest.mark.parametrize("name", ["big.csv", "big.csv.gz", "big.parquet"])
def test_rows_that_do_not_fit_are_drawn_evenly_and_keep_their_numbers(big, small_blocks, name):
    draw = draw_parquet if name.endswith("parquet") else delimited.draw
    columns, drawn = draw(big / name, Room(600_000.0, "there is little"))
    used = len(drawn.index)
    assert drawn.total == ROWS
    assert 300 < used < 1_500
    assert as_list(columns["place"]) == [f"n{i}" for i in drawn.index]
    assert (np.diff(drawn.index) > 0).all()
    shares = np.histogram(drawn.index, bins=5, range=(0, ROWS))[0] / used
    assert np.abs(shares - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / used)


def test_which_rows_are_drawn_does_not_depend_on_the_size_of_the_blocks():
    def drawn(size):
        drawing = Drawing(Room(300_000.0, ""))
        for start in range(0, ROWS, size):
            drawing.add(pl.DataFrame({"x": np.arange(start, min(start + size, ROWS)) * 1.0}))
        return drawing.whole()[1].index.tolist()

    assert drawn(10) == drawn(777) == drawn(ROWS)
    assert len(drawn(10)) == Room(300_000.0, "").rows(8.0, 1)


def test_a_run_on_drawn_rows_says_how_many_there_were_and_how_to_have_more(big, small_blocks, spec):
    data = load(spec(str(big / "big.csv"), budget={"memory_gb": 0.0006}))
    (found,) = [f for f in data.findings if f.code == "sampled"]
    assert found.numbers == {"rows": float(len(data.rows)), "total": 3_000.0}
    assert f"has 3,000 rows, of which {len(data.rows):,} are used" in found.sentence
    assert "budget.memory_gb is 0.0006" in found.sentence
    assert "raise budget.memory_gb" in found.sentence
    assert data.rows.rows.max() > len(data.rows)
    x = pl.read_parquet(big / "big.parquet")["x"].to_numpy()
    np.testing.assert_allclose(data.rows.columns["x"], x[data.rows.rows])
    again = load(spec(str(big / "big.csv"), budget={"memory_gb": 0.0006}))
    assert again.fingerprint == data.fingerprint


def test_a_file_that_fits_is_read_whole_and_nothing_is_said(big, spec):
    data = load(spec(str(big / "big.csv")))
    assert len(data.rows) == ROWS
    assert not [f for f in data.findings if f.code == "sampled"]


def test_a_bad_line_far_down_is_named_by_its_line_in_the_file(tmp_path, small_blocks):
    lines = ["a,b", *(f"{i},{i}" for i in range(4_000)), "1,2,3"]
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataUnreadable, match="line 4002: 3 cells where the first line has 2"):
        delimited.draw(tmp_path / "bad.csv", FULL)


def test_a_stray_quotation_mark_keeps_blocks_from_ending_but_loses_nothing(tmp_path, small_blocks):
    lines = ["a,b", *(f'{i}" pipe,{i}' for i in range(2_001))]
    (tmp_path / "pipes.csv").write_text("\n".join(lines) + "\n")
    columns, _ = delimited.draw(tmp_path / "pipes.csv", FULL)
    assert as_list(columns["b"]) == [str(i) for i in range(2_001)]


def test_json_that_does_not_fit_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"x": i}) + "\n" for i in range(1_000)))
    with pytest.raises(DataUnreadable, match="convert it to CSV or Parquet, which are read in parts"):
        delimited.draw(path, Room(1_000.0, "there is little"))
    assert len(delimited.draw(path, FULL)[0]["x"]) == 1_000


LOAD = """
import sys
from steelyard.data import load
from steelyard.measure.resources import peak_rss_bytes
from steelyard.spec import Spec
data = load(Spec(data=sys.argv[1], target="y", budget={"memory_gb": float(sys.argv[2])}))
print(len(data.rows), peak_rss_bytes())
"""


def loaded(path, memory_gb):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, path, str(memory_gb)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return map(int, done.stdout.split())


@pytest.mark.slow
def test_a_load_stays_within_the_memory_it_is_given(tmp_path):
    rng = np.random.default_rng(0)
    rows = 400_000
    columns = {f"x{i}": rng.normal(size=rows) for i in range(29)}
    pl.DataFrame({**columns, "y": rng.integers(0, 2, rows)}).write_csv(tmp_path / "wide.csv")
    used, peak = loaded(tmp_path / "wide.csv", 0.5)
    assert used < rows
    assert peak < 0.75e9  # the modules alone take a good 0.2e9
    whole, much = loaded(tmp_path / "wide.csv", 50.0)
    assert whole == rows
    assert much > 1.3 * peak
    assert Path(tmp_path / "wide.csv").stat().st_size > 0.2e9
