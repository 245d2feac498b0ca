"""Rows that a bundle cannot answer, and bundles that must not be loaded."""

import csv
import io
import shutil

import pytest

UNREADABLE, RUN_UNREADABLE, BUNDLE, REFUSED = 11, 32, 40, 41
READ = ("a", "b", "colour")


@pytest.fixture
def bundle(finished, tmp_path):
    """A copy of the bundle that ships, to be spoilt."""
    (found,) = (finished / "run" / "bundles").glob("*.all")
    return shutil.copytree(found, tmp_path / "bundle")


def predictions(ended):
    return list(csv.DictReader(io.StringIO(ended.out)))


def test_an_unseen_category_and_empty_cells_are_answered(cli, finished, tmp_path):
    rows = cli.write_csv(tmp_path / "rows.csv", [["1", "2", "violet"], ["", "", ""], ["inf", "1e999", "red"]], READ)
    ended = cli.call("predict", finished / "run", rows, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert [row["prediction"] in {"yes", "no"} for row in predictions(ended)] == [True] * 3


def test_a_column_too_many_is_ignored_and_that_is_said(cli, finished, tmp_path):
    rows = cli.write_csv(tmp_path / "rows.csv", [["1", "2", "red", "x", "yes"]], (*READ, "more", "bought"))
    ended = cli.call("predict", finished / "run", rows, cwd=tmp_path)
    assert (ended.code, len(predictions(ended))) == (0, 1)
    assert ended.err == "steelyard: ignored columns that the bundle does not know: 'more'\n"


BAD = {
    "a missing column": ("a,colour\n1,red\n", REFUSED, "the rows lack column 'b'"),
    "a word for a number": ("a,b,colour\n1,two,red\n", REFUSED, "row 0 (from 0) of column 'b' holds 'two'", "correct"),
    "no rows": ("a,b,colour\n", UNREADABLE, "no rows; add rows below it"),
    "an empty file": ("", UNREADABLE, "is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_rows_that_do_not_fit_are_refused_and_no_file_is_written(cli, finished, tmp_path, case):
    text, code, *words = BAD[case]
    (tmp_path / "rows.csv").write_text(text)
    ended = cli.call("predict", finished / "run", "rows.csv", "-o", "out.csv", cwd=tmp_path)
    ended.refused(code, *words)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_files_that_hold_no_rows_are_refused(cli, finished, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1xxxx")
    (tmp_path / "rows.xyz").write_text("a")
    for name, words in (
        ("rows.parquet", "cannot be read as Parquet"),
        ("rows.xyz", "is not a file of rows; give CSV, JSON Lines, Parquet or CoNLL"),
        ("none.csv", "there is no file none.csv; check the path"),
    ):
        cli.call("predict", finished / "run", name, cwd=tmp_path).refused(UNREADABLE, words)


def test_a_place_that_cannot_be_written_is_refused_and_the_earlier_file_stays(cli, finished, tmp_path):
    (tmp_path / "out.csv").mkdir()
    for place in ("none/out.csv", "out.csv"):
        ended = cli.call("predict", finished / "run", finished / "good.csv", "-o", place, cwd=tmp_path)
        ended.refused(31, f"cannot write {place}: ", "name another file with -o")
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    ended = cli.call("init", finished / "good.csv", "--target", "bought", "-o", "none/spec.yaml", cwd=tmp_path)
    ended.refused(31, "cannot write none/spec.yaml", "name another file with -o")


def test_labels_that_cannot_be_scored_are_refused(cli, finished, tmp_path):
    rows = cli.rows(20)
    for change, words in (
        (lambda row: [*row[:3], "perhaps"], "holds 'perhaps', which the bundle never saw; it knows 'no', 'yes'"),
        (lambda row: [*row[:3], ""], "row 0 (from 0) has no 'bought'; leave out rows"),
    ):
        labelled = cli.write_csv(tmp_path / "rows.csv", map(change, rows))
        cli.call("evaluate", finished / "run", labelled, cwd=tmp_path).refused(REFUSED, words)
    bare = cli.write_csv(tmp_path / "rows.csv", [row[:3] for row in rows], READ)
    cli.call("evaluate", finished / "run", bare, cwd=tmp_path).refused(
        REFUSED, "no column 'bought', which holds the target"
    )


def test_prices_that_are_not_there_are_refused_before_anything_is_measured(cli, finished, tmp_path):
    ended = cli.call("evaluate", finished / "run", finished / "good.csv", "--prices", "none.yaml", cwd=tmp_path)
    ended.refused(10, "none.yaml: the prices cannot be read", "check `prices:` in the spec, or --prices")


def test_a_truncated_bundle_is_refused(cli, finished, bundle, tmp_path):
    graph = bundle / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:100])
    ended = cli.call("predict", bundle, finished / "good.csv", cwd=tmp_path)
    ended.refused(BUNDLE, "model.onnx has 100 bytes instead of", "fetch the bundle again")
    (bundle / "manifest.json").unlink()
    cli.call("predict", bundle, finished / "good.csv", cwd=tmp_path).refused(BUNDLE, "manifest.json is missing")


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_one_flipped_bit_in_a_bundle_is_refused(cli, finished, bundle, tmp_path, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    cli.call("evaluate", bundle, finished / "good.csv", cwd=tmp_path).refused(BUNDLE, name, "fetch the bundle again")


def test_what_is_neither_a_run_nor_a_bundle_is_refused(cli, finished, tmp_path):
    cli.call("predict", "none", finished / "good.csv", cwd=tmp_path).refused(BUNDLE, "there is no such folder")
    for words in (("run", "--resume", "."), ("show", "none"), ("report", ".")):
        cli.call(*words, cwd=tmp_path).refused(RUN_UNREADABLE, "is not a run folder", "name one that a run printed")
    assert not list(tmp_path.iterdir())
