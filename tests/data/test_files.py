import gzip
import json
import zipfile

import numpy as np
import polars as pl
import pytest

from steelyard.data import plain
from steelyard.data.fast import as_list, is_strings
from steelyard.data.readers import delimited
from steelyard.data.readers.columnar import read_frame
from steelyard.data.source import read
from steelyard.errors import DataUnreadable
from steelyard.spec import Spec


def spec(data, target="y"):
    return Spec(data=data if isinstance(data, dict) else str(data), target=target)


def refusal(path):
    with pytest.raises(DataUnreadable) as stopped:
        read(spec(path), None)
    return str(stopped.value)


TEXTS = {
    "plain": "a,b,y\n1,x,0\n2,,1\n",
    "crlf": "a,b,y\r\n1,x,0\r\n2,,1\r\n",
    "quotes": 'a,b,y\n"1, or so","he said ""no""",0\n"two\nlines","",1\n',
    "last column empty": "a,b,y\n1,x,\n2,,1\n",
    "blank lines": "a,b,y\n\n1,x,0\n\n2,z,1\n\n",
    "semicolons": "a;b;y\n1,5;x;0\n2;;1\n",
    "tabs": "a\tb\ty\n1\tx\t0\n",
    "mark": "\ufeffa,b,y\n1,x,0\n",
    "one column": "y\n1\n\n3\n",
    "nameless": ",b,y\n0,x,1\n",
    "quote inside": 'a,b,y\n6" pipe,x,1\n',
    "spaces": "a , b,y\n 1 , x ,0\n",
    "no newline at the end": "a,b,y\n1,x,0",
    "old newlines": "a,b,y\r1,x,0\r",
    "chinese": "a,b,y\n房间,很大，好,0\n".replace("，", "、"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_polars_and_the_standard_library_read_the_same_cells(case, tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(TEXTS[case].encode())
    fast = {name: as_list(cells) for name, cells in delimited.read(path).items()}
    assert fast == plain.read_plain(path)


def test_a_blank_line_is_an_empty_cell_where_there_is_one_column_alone(tmp_path):
    (tmp_path / "one.csv").write_text("y\n1\n\n3\n")
    (tmp_path / "two.csv").write_text("a,y\n1,2\n\n3,4\n")
    assert plain.read_plain(tmp_path / "one.csv") == {"y": ["1", "", "3"]}
    assert plain.read_plain(tmp_path / "two.csv") == {"a": ["1", "3"], "y": ["2", "4"]}


def test_a_regular_file_goes_the_fast_way_and_an_odd_one_does_not(tmp_path):
    path = tmp_path / "data.csv"
    for case, is_fast in (("plain", True), ("last column empty", True), ("blank lines", False)):
        content = TEXTS[case].encode()
        head = delimited.Head.of(content, path)
        assert (delimited._by_polars(content, head, path, leads=True) is not None) is is_fast


def test_gzip_and_json_lines_are_read_alike_by_both_readers(tmp_path):
    path = tmp_path / "data.jsonl.gz"
    rows = [{"a": 1, "y": "u"}, {"a": None, "y": "v", "z": True}]
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    expected = {"a": [1, None], "y": ["u", "v"], "z": [None, True]}
    assert plain.read_plain(path) == expected
    assert {name: as_list(cells) for name, cells in read(spec(path), None).columns.items()} == expected


def test_json_array_of_objects_is_read_too(tmp_path):
    path = tmp_path / "data.json"
    path.write_text('[{"y": 1}, {"y": 2}]')
    assert plain.read_plain(path) == {"y": [1, 2]}
    path.write_text('[{"y": 1}, 2]')
    assert "item 1 is not a JSON object" in refusal(path)


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "data.parquet"
    pl.DataFrame({"a": [1, 2], "b": ["x", None], "y": [0.5, 1.5]}).write_parquet(path)
    columns = read(spec(path), None).columns
    assert columns["a"].dtype == np.int64
    assert is_strings(columns["b"])
    path.write_bytes(b"PAR1 nonsense")
    assert "cannot be read as Parquet" in refusal(path)


def test_a_missing_file_lists_every_place_looked_at_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_DATA", str(tmp_path / "sets"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "credit.csv").write_text("y\n1\n")
    with pytest.raises(DataUnreadable) as stopped:
        read(spec("credits.csv"), tmp_path / "base")
    said = str(stopped.value)
    places = [tmp_path / "base", tmp_path / "sets", tmp_path]
    found = [said.index(f"{i}. {place / 'credits.csv'}") for i, place in enumerate(places, 1)]
    assert found == sorted(found)
    assert "did you mean" in said
    assert read(spec("credit.csv"), tmp_path / "base").rows == 1


def test_the_data_folder_of_the_environment_is_used(tmp_path, monkeypatch):
    (tmp_path / "credit").mkdir()
    (tmp_path / "credit" / "data.csv").write_text("y\n1\n")
    monkeypatch.setenv("STEELYARD_DATA", str(tmp_path))
    assert read(spec("credit/data.csv"), None).name == "credit"


def test_bad_files_are_refused_in_one_sentence_with_a_way_out(tmp_path):
    cases = {
        "empty.csv": (b"", "is empty"),
        "blank.csv": (b"\n \n", "is empty"),
        "header.csv": (b"a,b,y\n", "3 column names but no rows"),
        "long.csv": (b"a,y\n1,2\n1,2,3\n", "line 3: 3 cells where the first line has 2"),
        "short.csv": (b"a,b,y\n1,2,3\n4,5\n", "line 3: 2 cells where the first line has 3"),
        "open.csv": (b'a,y\n1,2\n"3,4\n', "line 3: a quotation mark that is not closed"),
        "twice.csv": (b"a,a,y\n1,2,3\n", "column 'a' occurs twice"),
        "bad.jsonl": (b'{"y": 1}\n{"y": \n', "line 2: not a JSON object"),
        "list.jsonl": (b'{"y": 1}\n[1]\n', "line 2: a list, not a JSON object"),
        "data.xlsx": (b"PK", "cannot tell what .xlsx holds"),
        "data.csv.gz": (b"a,y\n1,2\n", "not a whole gzip file"),
        "data.npz": (b"nonsense", "cannot be read as arrays"),
        "data.zip": (b"nonsense", "cannot be read as a zip archive"),
    }
    for name, (content, expected) in cases.items():
        (tmp_path / name).write_bytes(content)
        said = refusal(tmp_path / name)
        assert expected in said
        assert name in said
        assert ";" in said


def test_a_long_ragged_file_names_the_line_in_the_file(tmp_path):
    lines = ["a,b,y", *("1,2,3" for _ in range(5000)), '"two\nlines",4', "1,2,3"]
    (tmp_path / "ragged.csv").write_text("\n".join(lines))
    assert "line 5003: 2 cells" in refusal(tmp_path / "ragged.csv")


@pytest.mark.parametrize(
    ("encoding", "text", "likely"),
    [
        ("cp1252", "name,y\nJosé,1\n", "WINDOWS-1252"),
        ("gb18030", "name,y\n房间很大整体感觉经济实惠不错,1\n", "GB18030"),
        ("utf-16", "name,y\nJosé,1\n", "UTF-16"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_converts_it(encoding, text, likely, tmp_path):
    (tmp_path / "data.csv").write_bytes(text.encode(encoding))
    said = refusal(tmp_path / "data.csv")
    assert f"it looks like {likely}" in said
    assert f"iconv -f {likely} -t UTF-8 data.csv > utf8-data.csv" in said


def test_very_long_cells_are_read_and_the_limit_of_the_csv_module_is_left_alone(tmp_path):
    import csv

    before = csv.field_size_limit()
    (tmp_path / "data.csv").write_text("a,y\n\n" + "x" * 300_000 + ",1\n")
    assert len(plain.read_plain(tmp_path / "data.csv")["a"][0]) == 300_000
    assert csv.field_size_limit() == before


def test_built_in_data_sets_come_by_name():
    table = read(spec("sklearn:iris", "species"), None)
    assert set(as_list(table.columns["species"])) == {"setosa", "versicolor", "virginica"}
    assert table.rows == 150
    with pytest.raises(DataUnreadable, match="no built-in data set 'irs' \\(did you mean 'iris'"):
        read(spec("sklearn:irs"), None)
    with pytest.raises(DataUnreadable, match="has a feature named 'alcohol'"):
        read(spec("sklearn:wine", "alcohol"), None)


def test_frames_are_read_and_what_is_none_is_refused():
    assert read(spec({"a": [1, 2], "y": [0, 1]}), None).rows == 2
    for data, said in (
        ({"a": [], "y": []}, "holds no rows"),
        ({"a": [1], "y": [1, 2]}, "differ in length"),
        ({"a": 1, "y": 2}, "is one row of values"),
        (3, "cannot read rows from int"),
    ):
        with pytest.raises(DataUnreadable, match=said):
            read_frame(data)


def test_members_that_lead_out_of_an_archive_are_refused(tmp_path):
    for member in ("../cat/1.png", "/etc/cat/1.png", "a/../../cat/1.png", "C:/cat/1.png", "cat\\..\\1.png"):
        path = tmp_path / "data.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("dog/0.png", b"")
            archive.writestr(member, b"")
        said = refusal(path)
        assert "leads outside of it" in said
        assert repr(member) in said
