"""Data that cannot be learned from is refused in one message, and leaves nothing behind."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

HEAD = ("a", "b", "colour", "bought")
UNREADABLE, UNFIT = 11, 12


def with_target(rows, values):
    return [[*row[:3], value] for row, value in zip(rows, values, strict=True)]


def content(rows, head=HEAD):
    return "".join(",".join(row) + "\n" for row in [head, *rows]).encode()


def numbers(rows):
    return [f"{float(row[0]) * 2 + 0.1:.3f}" for row in rows]


BAD = {
    "an empty file": (lambda _: b"", UNREADABLE, "data.csv is empty; check"),
    "a header alone": (lambda _: content([]), UNREADABLE, "4 column names but no rows; add rows"),
    "a short line": (
        lambda rows: content([*rows[:50], ["1", "2", "red"]]),
        UNREADABLE,
        "line 52: 3 cells where",
        "fill the line",
    ),
    "a long line": (
        lambda rows: content([*rows[:50], ["1"] * 5]),
        UNREADABLE,
        "line 52: 5 cells where",
        "quotation marks",
    ),
    "another encoding": (lambda rows: content(rows).replace(b"red", b"r\xe9d"), UNREADABLE, "is not UTF-8", "iconv -f"),
    "a doubled column": (
        lambda rows: content(rows, ("a", "a", "colour", "bought")),
        UNREADABLE,
        "'a' occurs twice",
        "rename",
    ),
    "no target": (
        lambda rows: content(rows, ("a", "b", "colour", "bougth")),
        UNFIT,
        "no column 'bought' (did you mean 'bougth'?)",
    ),
    "one class": (
        lambda rows: content(with_target(rows, ["yes"] * 160)),
        UNFIT,
        "all rows have class 'yes'",
        "add rows that differ",
    ),
    "one row a class": (
        lambda rows: content(with_target(rows, [f"c{i}" for i in range(160)])),
        UNFIT,
        "one row per class",
        "choose another target",
    ),
    "missing targets": (
        lambda rows: content(with_target(rows, ["" if i % 10 == 0 else row[3] for i, row in enumerate(rows)])),
        UNFIT,
        "16 of 160 rows have no target in 'bought'",
        "checks: {missing_target: drop}",
    ),
    "a target that is no number": (
        lambda rows: content(with_target(rows, ["nan", *numbers(rows)[1:]])),
        UNFIT,
        "1 of 160 rows have no target",
        "missing_target: drop",
    ),
    "an infinite target": (
        lambda rows: content(with_target(rows, ["inf", *numbers(rows)[1:]])),
        UNFIT,
        "holds 'inf' in row 0 (from 0), which is infinite",
        "correct it",
    ),
    "empty texts alone": (
        lambda rows: content([[" " if i % 2 else "", row[3]] for i, row in enumerate(rows)], ("note", "bought")),
        UNFIT,
        "no column is left to predict 'bought' from",
        "add columns",
    ),
}


SAID_ALIKE = {"a header alone", "a long line", "a target that is no number"}


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c in SAID_ALIKE else c for c in BAD])
def test_bad_data_is_one_message_and_leaves_no_run(cli, tmp_path, case):
    data, code, *words = BAD[case]
    (tmp_path / "data.csv").write_bytes(data(cli.rows()))
    spec = cli.write_spec(tmp_path, "data.csv")
    cli.call("run", spec, cwd=tmp_path).refused(code, *words)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv", "spec.yaml"]


def test_a_file_that_is_not_there_is_said_with_every_place_looked_at(cli, tmp_path):
    (tmp_path / "data.csv").write_bytes(content(cli.rows()))
    spec = cli.write_spec(tmp_path, "dat.csv")
    ended = cli.call("run", spec, "--out", "mine", cwd=tmp_path)
    ended.refused(UNREADABLE, "no data at 'dat.csv' (did you mean", "looked in, in order:\n  1. ")
    assert not (tmp_path / "mine").exists()


def test_an_archive_that_leads_outside_is_refused_and_nothing_is_unpacked(cli, tmp_path):
    (tmp_path / "inner").mkdir()
    with zipfile.ZipFile(tmp_path / "inner" / "images.zip", "w") as archive:
        for i in range(40):
            archive.writestr(f"{('cat', 'dog')[i % 2]}/{i}.png", picture(i))
        archive.writestr("../evil.png", picture(0))
    spec = cli.write_spec(tmp_path / "inner", "images.zip", "label")
    cli.call("run", spec, cwd=tmp_path).refused(
        UNREADABLE, "'../evil.png', which leads outside of it", "pack it without"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["inner"]


def picture(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pictures(cli, folder, count, bad):
    for i in range(count):
        path = folder / "pets" / ("cat", "dog")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i)[:-30] if i in bad else picture(i))
    return cli.write_spec(folder, "pets", "label", "learners: {only: [constant]}\nbudget: {trials: 1}")


def test_a_few_unreadable_images_are_left_out_and_that_is_said(cli, tmp_path):
    spec = pictures(cli, tmp_path, 60, {4, 6})
    ended = cli.call("check", spec, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    found = next(f for f in json.loads(ended.out)["checks"] if f["code"] == "unreadable_images")
    assert found["severity"] == "warn"
    assert found["sentence"].startswith("2 of 60 images in column 'image' cannot be read")
    assert "cat/04.png' in row 2 (from 0); their rows are left out" in found["sentence"]


@pytest.mark.slow
def test_a_run_trains_without_the_rows_of_unreadable_images(cli, tmp_path):
    spec = pictures(cli, tmp_path, 60, {4, 6})
    ended = cli.call("run", spec, "--json", "--out", "run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "unreadable_images" in {f["code"] for f in json.loads(ended.out)["checks"]}
    assert '"row_counts":{"all":58,' in (tmp_path / "run" / "events.jsonl").read_text()


def test_many_unreadable_images_stop_the_run(cli, tmp_path):
    spec = pictures(cli, tmp_path, 60, {1, 2, 3, 4})
    cli.call("run", spec, cwd=tmp_path).refused(
        UNFIT, "4 of 60 images", "cat/02.png", "replace them or take their rows"
    )
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def odd(cli, tmp_path):
    """A spec of data with infinite numbers, an empty column, and a text column of empty strings."""
    head = ("a", "b", "colour", "nothing", "note", "bought")
    rows = [["inf" if i % 20 == 3 else r[0], r[1], r[2], "", "  ", r[3]] for i, r in enumerate(cli.rows())]
    cli.write_csv(tmp_path / "data.csv", rows, head)
    return cli.write_spec(tmp_path, "data.csv", more="columns: {text: [note]}\nbudget: {trials: 2}")


def sees_odd_columns(ended):
    assert ended.code == 0, ended.err
    said = {(f["code"], f["column"]): f["sentence"] for f in json.loads(ended.out)["checks"]}
    assert "has 8 infinite numbers, the first in row 3" in said["infinite", "a"]
    assert "has no value in any row and is left out" in said["empty_column", "nothing"]
    assert "has no value in any row and is left out" in said["empty_column", "note"]


def test_odd_columns_stop_nothing_and_what_is_done_with_them_is_said(cli, odd, tmp_path):
    sees_odd_columns(cli.call("check", odd, "--json", cwd=tmp_path))


@pytest.mark.slow
def test_a_run_goes_on_past_odd_columns(cli, odd, tmp_path):
    sees_odd_columns(cli.call("run", odd, "--json", "--out", "run", cwd=tmp_path))
