import zlib

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import inspect, load
from steelyard.data.hashing import hash_numbers
from steelyard.errors import DataUnfit, SpecInvalid


def big(rows, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return {"x": x, "z": rng.normal(size=rows), "y": (rng.random(rows) * classes).astype(int)}


def rows_of(data, positions):
    return data.rows.rows[positions]


def disjoint(*several):
    return sum(map(len, several)) == len(np.unique(np.concatenate(several)))


def test_small_data_has_five_folds_of_which_each_row_is_scored_once(spec, table):
    p = load(spec(table(), split={"repeats": 1})).partition
    assert (p.protocol, len(p.parts)) == ("5-fold", 5)
    assert disjoint(*(part.score for part in p.parts))
    for part in p.parts:
        assert disjoint(part.fit, part.score, p.test)
    assert np.array_equal(p.validation, p.calibration)
    assert np.array_equal(p.scored, p.development)
    assert disjoint(p.test, p.development)
    assert len(p.test) + len(p.development) == 120


def test_large_data_has_one_holdout_of_a_quarter(spec):
    p = load(spec(big(8000))).partition
    (part,) = p.parts
    assert p.protocol == part.name == "holdout"
    assert disjoint(part.fit, p.validation, p.calibration, p.test)
    assert np.array_equal(part.score, np.union1d(p.validation, p.calibration))
    shares = [len(rows) / len(p.development) for rows in (p.validation, p.calibration)]
    assert shares == pytest.approx([0.15, 0.10], abs=0.015)
    assert len(p.test) / 8000 == pytest.approx(0.2, abs=0.015)


def test_the_number_of_folds_can_be_given(spec, table):
    assert load(spec(table(), split={"folds": 3})).partition.protocol == "3-fold"
    assert load(spec(table(), split={"folds": 0})).partition.protocol == "holdout"
    assert load(spec(big(8000), split={"folds": 2})).partition.protocol == "2-fold"


def test_by_index_the_test_rows_are_those_of_the_checksum_in_the_source(spec, table):
    y = ["", *table()["y"][1:]]
    data = load(spec(table(y=y), split={"by": "index"}, checks={"missing_target": "drop"}))
    expected = [i for i in range(1, 120) if zlib.crc32(str(i).encode()) % 5 == 0]
    assert rows_of(data, data.partition.test).tolist() == expected


def test_by_content_rows_go_where_they_went_in_any_order(spec):
    data = big(3000)
    order = np.random.default_rng(1).permutation(3000)
    shuffled = {name: values[order] for name, values in data.items()}
    first, second = load(spec(data)), load(spec(shuffled))
    test = set(rows_of(first, first.partition.test).tolist())
    assert set(order[rows_of(second, second.partition.test)].tolist()) == test


def test_by_content_rows_of_large_data_keep_their_place_when_others_are_added(spec):
    data = big(6000)
    some = {name: values[:5000] for name, values in data.items()}
    first, second = load(spec(some)), load(spec(data))
    old = {i for i in rows_of(second, second.partition.test).tolist() if i < 5000}
    assert set(rows_of(first, first.partition.test).tolist()) == old


def test_by_content_the_target_has_no_say_beyond_its_share(spec):
    data = big(3000)
    first = load(spec(data)).partition.test
    renamed = load(spec({**data, "y": np.where(data["y"] == 1, "b", "a")})).partition.test
    assert np.array_equal(first, renamed)


def test_equal_rows_never_straddle_the_split(spec):
    data = {name: np.concatenate([v, v[:300]]) for name, v in big(700).items()}
    made = load(spec(data))
    p = made.partition
    assert next(f.numbers["rows"] for f in made.findings if f.code == "duplicate_rows") == 300
    pairs = [(i, 700 + i) for i in range(300)]
    for side in (p.test, *(part.score for part in p.parts)):
        inside = set(side.tolist())
        assert all((a in inside) == (b in inside) for a, b in pairs)


def test_a_table_of_few_different_rows_is_still_split_evenly(spec):
    rng = np.random.default_rng(0)
    data = {"a": rng.integers(0, 2, 400), "b": rng.integers(0, 3, 400), "y": rng.integers(0, 2, 400)}
    p = load(spec(data)).partition
    assert len(p.test) == pytest.approx(80, abs=2)
    assert [len(part.score) for part in p.parts] == pytest.approx([64] * 5, abs=2)


def test_groups_stay_whole_when_folds_are_dealt_again(spec, table):
    group = [f"g{i % 15}" for i in range(120)]
    data = load(spec(table(customer=group), split={"group": "customer", "repeats": 2}))
    for part in data.partition.parts:
        assert set(data.groups[part.score]).isdisjoint(data.groups[part.fit])


def test_numbers_that_are_equal_have_one_hash_however_they_are_stored():
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    assert len(set(hash_numbers(np.r_[np.nan, odd]).tolist())) == 1
    assert len(set(hash_numbers(np.array([0.0, -0.0])).tolist())) == 1
    assert len(set(hash_numbers(np.array([0.0, 5e-324, 1.0, np.nan])).tolist())) == 4


def test_classes_have_their_share_in_every_part(spec, table):
    data = load(spec(table(y=["a"] * 90 + ["b"] * 30)))
    p = data.partition
    for rows in (p.test, *(part.score for part in p.parts)):
        assert np.mean(data.rows.target[rows] == 1) == pytest.approx(0.25, abs=0.06)


def test_groups_stay_on_one_side_and_are_kept_for_the_intervals(spec, table):
    group = [f"g{i % 15}" for i in range(120)]
    data = load(spec(table(customer=group), split={"group": "customer", "repeats": 1}))
    p = data.partition
    for positions in (p.test, *(part.score for part in p.parts)):
        inside = set(data.groups[positions])
        assert inside.isdisjoint(np.delete(data.groups, positions))
    assert len(set(data.groups)) == 15
    assert next(c.kind for c in data.schema.columns if c.name == "customer") is Kind.ID


def test_groups_stay_together_in_a_split_by_time(spec):
    data = {**big(400), "g": [f"g{i % 40}" for i in range(400)], "t": [i % 40 * 10.0 + i / 400 for i in range(400)]}
    made = load(spec(data, split={"group": "g", "time": "t"}))
    groups, times = made.groups, np.array(data["t"])
    for part in made.partition.parts:
        assert set(groups[part.fit]).isdisjoint(groups[part.score])
        assert times[part.fit].max() < times[made.partition.test].max()
    assert set(groups[made.partition.test]).isdisjoint(groups[made.partition.development])


def test_too_few_groups_are_refused(spec, table):
    wanted = spec(table(customer=["a", "b"] * 60), split={"group": "customer"})
    with pytest.raises(DataUnfit, match="'customer' has too few groups"):
        load(wanted)
    seen = inspect(wanted)
    assert seen.dataset is None
    assert [f.code for f in seen.findings if f.severity == "stop"] == ["unfit"]


@pytest.mark.parametrize("rows", [300, 8000])
def test_in_time_nothing_is_trained_on_what_comes_after(spec, rows):
    data = {**big(rows), "hour": np.arange(rows) * 3600.0 + 1e9}
    made = load(spec(data, split={"time": "hour"}))
    p = made.partition
    assert p.test.tolist() == list(range(rows - rows // 5, rows))
    for part in p.parts:
        assert part.fit.max() < part.score.min()
        assert part.score.max() < p.test.min()
    assert p.protocol == ("5-fold" if rows == 300 else "holdout")
    assert "hour" not in made.rows.columns


def test_rows_of_the_same_time_stay_together(spec):
    data = {**big(400), "day": [f"2020-01-{1 + i // 20:02d}" for i in range(400)]}
    made = load(spec(data, split={"time": "day"}))
    days = np.array(data["day"])
    for part in made.partition.parts:
        assert set(days[part.fit]).isdisjoint(days[part.score])
    assert set(days[made.partition.test]) == {"2020-01-17", "2020-01-18", "2020-01-19", "2020-01-20"}


def test_rows_without_a_time_are_refused(spec, table):
    days = ["2020-01-01", "soon"] * 60
    with pytest.raises(DataUnfit, match=r"split.time: 'day' holds 'soon' in row 1 \(from 0\), which is no time"):
        load(spec(table(day=days), split={"time": "day"}))


def test_a_given_column_decides_and_calibration_is_cut_from_training(spec, table):
    side = ["train", "Train", "valid", "test"] * 30
    p = load(spec(table(side=side), split={"column": "side"})).partition
    assert p.protocol == "holdout"
    assert p.test.tolist() == list(range(3, 120, 4))
    assert p.validation.tolist() == list(range(2, 120, 4))
    assert set(p.calibration % 4) <= {0, 1}
    assert len(p.calibration) == pytest.approx(6, abs=2)
    all_four = ["train", "validation", "calibration", "test"] * 30
    assert load(spec(table(side=all_four), split={"column": "side"})).partition.calibration.tolist() == list(
        range(2, 120, 4)
    )


@pytest.mark.parametrize(
    ("side", "said"),
    [
        (["train", "tset"] * 60, "holds 'tset' in row 1"),
        (["train", ""] * 60, "holds nothing in row 1"),
        (["train", "validation"] * 60, "has no row that says test"),
        (["test"] * 120, "has no row that says train"),
    ],
)
def test_a_given_column_that_is_not_a_split_is_refused(spec, table, side, said):
    with pytest.raises(DataUnfit, match=said):
        load(spec(table(side=side), split={"column": "side"}))


@pytest.mark.parametrize("rows", [30, 2000])
def test_folds_beside_validation_rows_of_a_column_are_refused_however_many_rows_there_are(spec, table, rows):
    side = ["train", "train", "validation", "test"] * rows
    with pytest.raises(SpecInvalid, match=r"split.folds: 5 folds .* column 'side' already says .*; drop split.folds"):
        load(spec(table(4 * rows, side=side), split={"column": "side", "folds": 5}))
    one = load(spec(table(4 * rows, side=side), split={"column": "side", "folds": 0})).partition
    assert one.protocol == "holdout"


def test_folds_are_made_of_the_training_rows_of_a_column_without_validation_rows(spec, table):
    side = ["train", "train", "train", "test"] * 30
    p = load(spec(table(side=side), split={"column": "side", "folds": 3})).partition
    assert p.protocol == "3-fold"
    assert p.test.tolist() == list(range(3, 120, 4))


def test_calibration_rows_of_a_column_are_never_trained_on_for_want_of_validation_rows(spec, table):
    side = ["train", "train", "calibration", "test"] * 30
    with pytest.raises(DataUnfit, match="'side' has rows that say calibration but none that says validation; write"):
        load(spec(table(side=side), split={"column": "side"}))
