import zipfile
from pathlib import Path

import numpy as np
import pytest

from steelyard.contracts import Column, Kind, Schema
from steelyard.data.heaps import beside, rows_of_files
from steelyard.errors import DataUnreadable
from steelyard.rows import read_rows

HEARS = Schema((Column(name="call", kind=Kind.AUDIO),))
BOTH = Schema((*HEARS.columns, Column(name="age", kind=Kind.NUMBER)))


@pytest.fixture
def heap(tmp_path):
    for name in ("cat/1.wav", "dog/2.WAV", "dog/.hidden.wav", "notes.txt"):
        (tmp_path / "heap" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "heap" / name).write_bytes(b"RIFF")
    with zipfile.ZipFile(tmp_path / "heap.zip", "w") as archive:
        archive.writestr("cat/1.wav", b"RIFF")
        archive.writestr("dog/2.WAV", b"RIFF")
    return tmp_path


def test_a_folder_or_zip_is_one_row_a_file_and_its_folder_the_label(heap):
    for path, prefix in ((heap / "heap", f"{heap}/heap/"), (heap / "heap.zip", f"{heap}/heap.zip::")):
        rows = read_rows(path, HEARS, "animal")
        assert rows == {"call": [f"{prefix}cat/1.wav", f"{prefix}dog/2.WAV"], "animal": ["cat", "dog"]}


def test_a_heap_that_is_no_answerable_table_is_refused(heap):
    with pytest.raises(DataUnreadable, match="reads more than files"):
        read_rows(heap / "heap", BOTH)
    with pytest.raises(DataUnreadable, match="holds no files that end in"):
        rows_of_files(heap / "heap", Schema((Column(name="photo", kind=Kind.IMAGE),)), "y")
    (heap / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(DataUnreadable, match="pack it again"):
        read_rows(heap / "bad.zip", HEARS)


def test_names_are_looked_for_beside_their_file(heap):
    (heap / "list.csv").write_text("call,age\nheap/cat/1.wav,3\nheap.zip::dog/2.WAV,4\n/elsewhere.wav,5\n,6\n")
    rows = read_rows(heap / "list.csv", BOTH)
    there = [f"{heap}/heap/cat/1.wav", f"{heap}/heap.zip::dog/2.WAV"]
    assert list(rows["call"])[:3] == [*there, "/elsewhere.wav"]
    frame = {"age": np.arange(2)}
    assert beside(frame, BOTH, Path()) is frame
