"""A long table, one reading a row, becomes rows: one a unit, or one a window."""

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.data import inspect, load, store
from steelyard.data.long import is_long, regroup
from steelyard.errors import DataUnfit, RowsRefused, SpecInvalid

SEQUENCE = {"unit": "unit", "time": "cycle", "window": 5}


def readings(units=30, shuffle=True, **more):
    """Return readings of machines that wear out: the wear rises with the cycle, the load says nothing."""
    rng = np.random.default_rng(1)
    made = [
        {
            "unit": f"u{unit}",
            "cycle": cycle + 1,
            "site": "north" if unit % 2 else "south",
            "wear": round(cycle + rng.normal(), 3),
            "load": round(rng.normal(), 3),
            "left": min(int(length) - cycle, 12),
            "failed": "yes" if unit % 3 else "no",
        }
        for unit in range(units)
        for length in [rng.integers(8, 20)]
        for cycle in range(length)
    ]
    if shuffle:
        rng.shuffle(made)
    return {name: [row[name] for row in made] for name in made[0]} | more


def found(dataset, code):
    return next(finding for finding in dataset.findings if finding.code == code)


@pytest.fixture
def windows(spec):
    return load(spec(readings(), "left", sequence=SEQUENCE, task="regression"))


def test_a_window_has_the_target_of_its_last_reading_and_the_other_columns_as_they_were_then(windows):
    data = readings()
    rows = windows.rows
    assert [c.name for c in windows.schema.features] == ["site", "failed", "readings"]
    assert windows.schema.of(Kind.SEQUENCE)[0].channels == ("wear", "load")
    for row in range(0, len(rows), 17):
        last = int(rows.rows[row])
        assert rows.target[row] == data["left"][last]
        assert rows.columns["site"][row] == data["site"][last]
        assert rows.columns["readings"][row][-1].tolist() == pytest.approx([data["wear"][last], data["load"][last]])
        assert len(rows.columns["readings"][row]) == 5


def test_windows_of_a_unit_stay_on_one_side(windows):
    data, parts = readings(), windows.partition
    units = np.array(data["unit"])[windows.rows.rows]
    assert not set(units[parts.test]) & set(units[parts.development])
    for part in parts.parts:
        assert not set(units[part.fit]) & set(units[part.score])


def test_the_order_of_rows_does_not_matter(spec, windows):
    tidy = load(spec(readings(shuffle=False), "left", sequence=SEQUENCE, task="regression"))
    assert "put in it" in found(windows, "unsorted_readings").sentence
    assert not any(f.code == "unsorted_readings" for f in tidy.findings)
    key = sorted((float(t), c.tobytes()) for t, c in zip(tidy.rows.target, tidy.rows.columns["readings"], strict=True))
    other = sorted(
        (float(t), c.tobytes()) for t, c in zip(windows.rows.target, windows.rows.columns["readings"], strict=True)
    )
    assert key == other


def test_without_a_window_a_unit_is_one_row(spec):
    dataset = load(spec(readings(), "failed", sequence={"unit": "unit", "time": "cycle", "channels": ["wear", "load"]}))
    assert len(dataset.originals) == 30
    assert "from 8 to 19 readings" in found(dataset, "unequal_lengths").sentence


def test_a_target_that_changes_within_a_unit_asks_for_a_window(spec):
    with pytest.raises(DataUnfit, match=r"target 'left' is not the same in all readings of unit 'u\d+'.*give a window"):
        load(spec(readings(), "left", sequence={"unit": "unit", "time": "cycle"}))


def test_windows_without_a_target_are_left_out_and_told(spec):
    data = readings()
    data["left"] = [left if cycle % 2 else None for left, cycle in zip(data["left"], data["cycle"], strict=True)]
    dataset = load(spec(data, "left", sequence=SEQUENCE, task="regression"))
    assert "end at a reading without a target" in found(dataset, "unlabelled_windows").sentence
    assert np.isfinite(dataset.rows.target).all()


def test_doubled_lost_and_skipped_readings_are_told_a_sentence_each(spec):
    data = readings(shuffle=False)
    data = {name: cells + cells[3:5] for name, cells in data.items()}
    data["wear"][-1] = 777.0
    data["unit"][0] = None
    del_row = 6
    data = {name: cells[:del_row] + cells[del_row + 1 :] for name, cells in data.items()}
    dataset = load(spec(data, "left", sequence=SEQUENCE, task="regression"))
    assert found(dataset, "doubled_readings").sentence.startswith("2 readings have the unit and the time of another")
    assert found(dataset, "lost_readings").sentence.startswith("1 readings without a value in 'unit' or 'cycle'")
    assert found(dataset, "skipped_readings").numbers["readings"] == 1
    assert any((cell[:, 0] == 777).any() for cell in dataset.rows.columns["readings"])


def test_units_shorter_than_the_window_give_one_shorter_row(spec):
    dataset = load(spec(readings(), "left", sequence={**SEQUENCE, "window": 12}, task="regression"))
    lengths = {len(cell) for cell in dataset.rows.columns["readings"]}
    assert min(lengths) < 12
    assert max(lengths) == 12
    assert "fewer readings than the window of 12" in found(dataset, "short_units").sentence


def test_a_column_that_changes_and_holds_no_numbers_keeps_its_last_value_and_is_told(spec):
    data = readings()
    mode = [("slow", "fast")[cycle % 2] for cycle in data["cycle"]]
    dataset = load(spec({**data, "mode": mode}, "left", sequence=SEQUENCE, task="regression"))
    assert "mode changes within units" in found(dataset, "last_value").sentence
    row = 11
    assert dataset.rows.columns["mode"][row] == mode[int(dataset.rows.rows[row])]


def test_a_column_called_time_can_be_a_number_to_learn_from(spec):
    dataset = load(
        spec(readings(), "left", sequence=SEQUENCE, task="regression", columns={"number": ["cycle", "wear"]})
    )
    assert dataset.schema.of(Kind.NUMBER)[0].name == "cycle"


def test_ignored_columns_are_no_channels(spec):
    dataset = load(spec(readings(), "left", sequence=SEQUENCE, task="regression", columns={"ignore": ["load"]}))
    assert dataset.schema.of(Kind.SEQUENCE)[0].channels == ("wear",)


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        ({"unit": "unti"}, "sequence.unit: the data has no column 'unti' (did you mean 'unit'?)"),
        ({"unit": "left"}, "sequence.unit: 'left' is the target"),
        ({"unit": "unit", "name": "wear"}, "sequence.name: the data has a column 'wear' already"),
        ({"unit": "unit", "channels": ["site"]}, "column 'site' holds no numbers"),
        ({"unit": "unit", "time": "site"}, "neither a time nor a number"),
        ({"unit": "cycle", "channels": []}, ""),
    ],
)
def test_a_part_that_does_not_fit_the_table_is_refused_by_name(spec, sequence, said):
    if not said:
        assert load(spec(readings(), "left", sequence={**sequence, "window": 2}, task="regression"))
        return
    with pytest.raises(DataUnfit) as refused:
        load(spec(readings(), "left", sequence={"window": 5, **sequence}))
    assert said in str(refused.value)


def test_a_table_without_changing_numbers_is_refused(spec):
    data = readings()
    data = {name: data[name] for name in ("unit", "cycle", "site", "failed")}
    with pytest.raises(DataUnfit, match="no column of numbers changes within units"):
        load(spec(data, "failed", sequence={"unit": "unit", "time": "cycle"}))


def test_a_misspelt_field_of_the_part_is_refused_by_the_spec(spec):
    with pytest.raises(SpecInvalid, match="windw"):
        spec(readings(), "left", sequence={"unit": "unit", "windw": 3})


def test_what_is_stored_comes_back_and_is_small(windows, tmp_path):
    store.save(windows, tmp_path)
    back = store.read(tmp_path)
    assert back.schema == windows.schema
    assert back.fingerprint == windows.fingerprint
    assert all(map(np.array_equal, back.rows.columns["readings"], windows.rows.columns["readings"]))
    base = back.rows.columns["readings"][0].base
    assert base.nbytes == sum(len(readings()[c]) * 4 for c in ("wear", "load"))


def test_dates_order_readings_in_the_way_they_are_written(spec):
    data = readings()
    days = [f"{cycle:02d}/01/2024" for cycle in data["cycle"]]
    dataset = load(spec({**data, "cycle": days}, "left", sequence=SEQUENCE, task="regression"))
    column = dataset.schema.of(Kind.SEQUENCE)[0]
    assert column.gathered.notation
    assert len(regroup({**data, "cycle": days}, dataset.schema).source) == len(dataset.rows)


def test_predicting_gathers_the_very_rows_of_training(windows):
    data = readings()
    assert is_long(data, windows.schema)
    made = regroup(data, windows.schema)
    assert made.source.tolist() == windows.rows.rows.tolist()
    assert all(map(np.array_equal, made.frame["readings"], windows.rows.columns["readings"]))
    assert made.keys["unit"] == [data["unit"][row] for row in made.source]
    assert made.keys["cycle"] == [data["cycle"][row] for row in made.source]


def test_units_and_times_are_plain_values_however_the_table_holds_them(windows):
    data = readings()
    frame = {name: np.array(cells) for name, cells in data.items()}
    frame["cycle"] = np.datetime64("2024-01-01") + frame["cycle"]
    made = regroup(frame, windows.schema)
    assert made.keys["cycle"][0].startswith("2024-01-")
    assert {type(cell) for cells in made.keys.values() for cell in cells} == {str}


def test_a_channel_may_be_read_at_every_second_reading_alone(spec):
    data = readings()
    slow = [float(cycle) if cycle % 2 else None for cycle in data["cycle"]]
    dataset = load(spec({**data, "slow": slow}, "left", sequence=SEQUENCE, task="regression"))
    assert dataset.schema.of(Kind.SEQUENCE)[0].channels == ("wear", "load", "slow")
    assert np.isnan(dataset.rows.columns["readings"][0]).any()


def test_a_long_table_that_lacks_a_channel_is_refused_by_name(windows):
    data = readings()
    del data["wear"]
    with pytest.raises(RowsRefused, match="lacks column 'wear'"):
        regroup(data, windows.schema)


def test_the_whole_look_counts_readings_as_the_rows_of_the_source(spec):
    seen = inspect(spec(readings(), "left", sequence=SEQUENCE, task="regression"))
    assert seen.rows == len(readings()["unit"])
