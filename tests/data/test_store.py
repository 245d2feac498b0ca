import json

import numpy as np
import pytest

from steelyard.data import load, store
from steelyard.errors import RunUnreadable, RunUnwritable


def same(a, b):
    return np.array_equal(a, b) if a.dtype == object else np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@pytest.fixture
def dataset(spec, table):
    more = {"g": [f"g{i % 20}" for i in range(120)], "w": [0.5, 2.0] * 60}
    gaps = {
        "city": ["Oslo", None, "Bonn"] * 40,
        "x": [1.5, np.nan, -0.0, 1e300] * 30,
        "note": ["", "ein Wörtchen: 好"] * 60,
    }
    return load(spec(table(**more, **gaps), split={"group": "g"}, columns={"weight": "w", "text": ["note"]}))


def test_what_is_stored_comes_back_exactly(dataset, tmp_path):
    store.save(dataset, tmp_path / "run")
    back = store.read(tmp_path / "run")
    for field in ("name", "source", "schema", "task", "findings", "fingerprint"):
        assert getattr(back, field) == getattr(dataset, field)
    assert list(back.rows.columns) == list(dataset.rows.columns)
    for name, values in dataset.rows.columns.items():
        assert back.rows.columns[name].dtype == values.dtype
        assert same(values, back.rows.columns[name])
    for field in ("target", "rows", "weights"):
        assert getattr(back.rows, field).dtype == getattr(dataset.rows, field).dtype
        assert same(getattr(dataset.rows, field), getattr(back.rows, field))
    assert same(dataset.groups, back.groups)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["data.arrow", "data.json"]


def test_the_partition_comes_back_exactly(dataset, tmp_path):
    store.save(dataset, tmp_path)
    ours, back = dataset.partition, store.read(tmp_path).partition
    assert ours.protocol == back.protocol
    for field in ("test", "validation", "calibration"):
        assert same(getattr(ours, field), getattr(back, field))
    assert [part.name for part in ours.parts] == [part.name for part in back.parts]
    for one, other in zip(ours.parts, back.parts, strict=True):
        assert same(one.fit, other.fit)
        assert same(one.score, other.score)


def test_times_come_back_where_the_split_has_them(spec, table, tmp_path):
    dataset = load(spec(table(), split={"time": "day"}))
    store.save(dataset, tmp_path)
    assert same(dataset.times, store.read(tmp_path).times)
    assert len(dataset.times) == 120


def test_bytes_and_numbers_without_weights_come_back_too(spec, tmp_path):
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 255, (4, 4), dtype=np.uint8) for _ in range(40)]
    dataset = load(spec({"photo": pixels, "y": rng.normal(size=40)}))
    store.save(dataset, tmp_path)
    back = store.read(tmp_path)
    assert same(dataset.rows.columns["photo"], back.rows.columns["photo"])
    assert same(dataset.rows.target, back.rows.target)
    assert back.rows.weights is None
    assert back.groups is None


def test_rows_without_a_target_come_back_and_are_guarded_like_the_others(spec, table, tmp_path):
    y = ["", "", *table()["y"][2:]]
    dataset = load(spec(table(y=y), checks={"missing_target": "use"}))
    store.save(dataset, tmp_path)
    back = store.read(tmp_path).unlabelled
    assert back.rows.tolist() == [0, 1]
    for name, values in dataset.unlabelled.columns.items():
        assert same(values, back.columns[name])
    file = tmp_path / "unlabelled.arrow"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"0", b"1"))
    with pytest.raises(RunUnreadable, match="was changed after it was written; run again"):
        store.read(tmp_path)
    file.unlink()
    with pytest.raises(RunUnreadable, match="cannot be read"):
        store.read(tmp_path)


@pytest.mark.parametrize("name", ["data.arrow", "data.json"])
def test_a_damaged_or_missing_store_is_refused(dataset, tmp_path, name):
    store.save(dataset, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunUnreadable, match="run again"):
        store.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(RunUnreadable, match="run again"):
        store.read(tmp_path)


def test_a_changed_word_about_the_data_is_noticed(dataset, tmp_path):
    store.save(dataset, tmp_path)
    said = (tmp_path / "data.json").read_text()
    (tmp_path / "data.json").write_text(said.replace(dataset.fingerprint, "0" * 64))
    with pytest.raises(RunUnreadable, match="was changed after it was written"):
        store.read(tmp_path)


def test_another_version_is_refused(dataset, tmp_path):
    store.save(dataset, tmp_path)
    about = json.loads((tmp_path / "data.json").read_text())
    (tmp_path / "data.json").write_text(json.dumps({**about, "version": 99}))
    with pytest.raises(RunUnreadable, match="is of version 99"):
        store.read(tmp_path)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(dataset, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(RunUnwritable, match="No space left on device; free space"):
        store.save(dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_covers_rows_columns_target_weights_and_split(spec, table):
    def mark(more=None, **given):
        return load(spec(table(**(more or {})), **given)).fingerprint

    first = mark()
    assert first == mark() == mark(seed=5) == mark(name="another")
    ages = table()["age"]
    others = [
        mark({"age": np.r_[ages[:-1], 99.0]}),
        mark({"y": ["no", *table()["y"][1:]]}, positive="yes"),
        mark({"more": [i % 7 for i in range(120)]}),
        mark(split={"by": "index"}),
        mark(split={"folds": 3}),
        mark(columns={"ignore": ["age"]}),
        mark({"w": [1.0, 2.0] * 60}, columns={"weight": "w"}),
    ]
    assert len({first, *others}) == len(others) + 1 - (table()["y"][0] == "no")
