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
    "a hint of positives": (
        lambda rows: content(with_target(rows, ["yes", "yes", *["no"] * 158])),
        UNFIT,
        "class 'yes' (2) of the target 'bought' has fewer than 3 rows",
        "add more",
    ),
    "dates in two orders, asked for as times": (
        lambda rows: content(
            [[f"{i % 28 + 1}/3/2011" if i % 2 else f"3/{i % 28 + 1}/2011", *row[1:]] for i, row in enumerate(rows)]
        ),
        UNFIT,
        "'a' is given as time",
        "give another kind",
    ),
    "empty texts alone": (
        lambda rows: content([[" " if i % 2 else "", row[3]] for i, row in enumerate(rows)], ("note", "bought")),
        UNFIT,
        "no column is left to predict 'bought' from",
        "add columns",
    ),
}


SAID_ALIKE = {"a header alone", "a long line", "a target that is no number", "a hint of positives"}
MORE = {"dates in two orders, asked for as times": "columns: {time: [a]}"}
"""What a spec says beside data and target, where it matters."""


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c in SAID_ALIKE else c for c in BAD])
def test_bad_data_is_one_message_and_leaves_no_run(cli, tmp_path, case):
    data, code, *words = BAD[case]
    (tmp_path / "data.csv").write_bytes(data(cli.rows()))
    spec = cli.write_spec(tmp_path, "data.csv", more=MORE.get(case, "budget: {trials: 2}"))
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


FORMATS = ("2011-03-{:02d}", "3/{}/2011", "{}.3.2011", "{} March 2011", "2011-03-{:02d}T08:00:00Z")
HANDLED = {
    "date_formats": ("when", "writes its dates in 5 ways", "nothing needs to be done"),
    "almost_time": ("either", "none says whether day or month comes first", "write them year first"),
    "notation": ("price", "read as numbers written like $1,234.5", "give it a kind"),
    "almost_number": ("years", "2 cells that are none ('thirty or so, ", "count as missing, here and when predicting"),
    "suspect": ("refund", "is named like a result, and alone predicts", "list it under columns.ignore"),
    "conflicting_targets": (None, "have the same features as another row and another target", "add a column"),
    "empty_in_training": ("late", "has values in test rows only", "change the split"),
    "many_categories": ("code", "1,100 categories, with 1.1 rows each", "list the column under columns.ignore"),
    "rough_class": ("bought", "few rows of class 'yes'", "add rows"),
}


@pytest.fixture
def strange(cli, tmp_path):
    """A spec of 1,200 rows with all that a run handles and says: the keys of HANDLED."""
    rng = np.random.default_rng(0)
    rows, buyers = [], set(rng.permutation(1_200)[:40].tolist())
    for i in range(1_200):
        bought = "yes" if i in buyers else "no"
        years = ["thirty or so, she did not know", "unknown"][i % 2] if i in {700, 901} else f"{20 + i % 50}.5"
        price = f"${rng.integers(1, 5_000):,}.50"
        row = [FORMATS[i % 5].format(13 + i % 15), f"{1 + i % 12}/{1 + i % 11}/2011", price, years]
        refund = f"{rng.normal(loc=2.4 * (bought == 'yes')):.1f}"
        side = "test" if i % 5 == 2 else "train"
        rows.append([*row, refund, "7" if side == "test" and i % 2 else "", f"c{i % 1_100}", side, bought])
    rows += [[*row[:-1], "yes" if row[-1] == "no" else "no"] for row in rows[:20] if row[-2] == "train"]
    head = ("when", "either", "price", "years", "refund", "late", "code", "side", "bought")
    cli.write_csv(tmp_path / "data.csv", rows, head)
    return cli.write_spec(tmp_path, "data.csv", more="split: {column: side}\npositive: yes")


def test_what_is_strange_is_handled_and_said_in_a_sentence_with_the_way_out(cli, strange, tmp_path):
    ended = cli.call("check", strange, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    said = {found["code"]: found for found in json.loads(ended.out)["checks"]}
    for code, (column, *words) in HANDLED.items():
        assert code in said, code
        assert said[code]["column"] == column
        for word in words:
            assert word in said[code]["sentence"]


@pytest.mark.slow
def test_a_wide_table_is_checked_and_said_to_be_wide(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = [[*map(str, rng.normal(size=2_000).round(3)), ("yes", "no")[i % 2]] for i in range(200)]
    cli.write_csv(tmp_path / "data.csv", rows, (*(f"x{i}" for i in range(2_000)), "bought"))
    ended = cli.call("check", cli.write_spec(tmp_path, "data.csv"), "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    said = {found["code"]: found["sentence"] for found in json.loads(ended.out)["checks"]}
    assert said["more_columns_than_rows"].startswith("2,000 columns for 200 rows")
    assert "leak" not in said


def test_a_table_larger_than_the_memory_it_may_take_is_drawn_from_and_that_is_said(cli, tmp_path):
    cli.write_csv(tmp_path / "data.csv", cli.rows(9_000))
    spec = cli.write_spec(tmp_path, "data.csv", more="budget: {memory_gb: 0.001}")
    ended = cli.call("check", spec, "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    (found,) = [f for f in json.loads(ended.out)["checks"] if f["code"] == "sampled"]
    assert found["numbers"]["total"] == 9_000
    assert 500 < found["numbers"]["rows"] < 5_000
    assert "has 9,000 rows, of which" in found["sentence"]
    assert "budget.memory_gb is 0.001); raise budget.memory_gb" in found["sentence"]
