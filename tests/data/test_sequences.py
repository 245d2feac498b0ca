"""One cell of readings: what is taken for one, what is refused, and what is stored."""

import numpy as np
import pytest

from steelyard.contracts import Column, Kind, Schema
from steelyard.data import load, store, to_columns
from steelyard.data.coerce import objects
from steelyard.data.hashing import hash_sequences
from steelyard.data.sequences import channels_of, pooled, unpooled
from steelyard.errors import DataUnfit, RowsRefused

SCHEMA = Schema((Column(name="r", kind=Kind.SEQUENCE, channels=("a", "b")),))
WRITTEN = [
    [[1, 2.5], [None, 4]],
    [{"a": 1, "b": 2.5}, {"b": 4, "a": None}],
    {"b": [2.5, 4], "a": [1, None]},
    np.array([[1, 2.5], [np.nan, 4]]),
    "[[1, 2.5], [null, 4]]",
    [["1", " 2.5 "], ["NA", "4"]],
    [[True, 2.5], [float("inf"), 4]],
]


def read(cell, schema=SCHEMA):
    return to_columns([{"r": cell}], schema)["r"][0]


@pytest.mark.parametrize("cell", WRITTEN)
def test_readings_may_be_written_in_many_ways_and_mean_the_same(cell):
    made = read(cell)
    assert made.dtype == np.float32
    assert np.array_equal(made, np.array([[1, 2.5], [np.nan, 4]], np.float32), equal_nan=True)


@pytest.mark.parametrize("cell", [None, "", [], float("nan"), {"a": [], "b": []}, np.empty((0, 2))])
def test_nothing_is_a_sequence_without_steps(cell):
    assert read(cell).shape == (0, 2)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([[1, 2], [3]], "reading 1 (from 0) has 1 values where 2 channels are read: a, b"),
        ([{"a": 1, "c": 2}], "lacks channel 'b'"),
        ([[1, "high"]], "holds 'high' for 'b', which is no number"),
        ([1, 2], "reading 0 (from 0) is 1, not one value for each of 2"),
        (7, "no list of readings but 7"),
        ("seven", "no list of readings but 'seven'"),
        ({"a": [1], "b": [1, 2]}, "channels differ in length"),
        (np.zeros((3, 5)), "has the shape [3, 5] where (steps, 2) is read"),
        ([[[1, 2], 3]], "which is no number"),
    ],
)
def test_what_is_no_sequence_is_refused_by_a_sentence_that_names_the_reading(cell, said):
    with pytest.raises(RowsRefused) as refused:
        read(cell)
    assert said in str(refused.value)
    assert "row 0 (from 0) of column 'r'" in str(refused.value)


def test_numbers_beyond_float32_are_missing():
    assert np.isnan(read([[1e39, 10**400]])).all()


def test_one_channel_may_be_a_plain_list():
    one = Schema((Column(name="r", kind=Kind.SEQUENCE, channels=("a",)),))
    assert read([1, None, 3], one).shape == (3, 1)


def test_a_lenient_column_takes_what_is_no_number_for_missing():
    lenient = Schema((Column(name="r", kind=Kind.SEQUENCE, channels=("a", "b"), lenient=True),))
    assert np.isnan(read([["err", 1]], lenient)[0, 0])


def test_images_words_and_pairs_are_no_sequences():
    assert channels_of([np.zeros((8, 8), np.uint8)]) is None
    assert channels_of([["to", "be"]]) is None
    assert channels_of([{"k": "v"}]) is None
    assert channels_of([np.zeros((4, 3, 2))]) is None


def rows(count=60, **more):
    rng = np.random.default_rng(3)
    level = rng.normal(size=count)
    cells = [(level[i] + rng.normal(scale=0.1, size=(4 + i % 5, 2))).round(3).tolist() for i in range(count)]
    return {"r": cells, "y": np.where(level > 0, "up", "down").tolist(), **more}


def test_lists_of_readings_are_found_and_stored(spec, tmp_path):
    dataset = load(spec(rows()))
    column = dataset.schema.features[0]
    assert (column.kind, column.channels) == (Kind.SEQUENCE, ("channel_0", "channel_1"))
    store.save(dataset, tmp_path)
    back = store.read(tmp_path)
    assert back.schema == dataset.schema
    assert all(map(np.array_equal, back.rows.columns["r"], dataset.rows.columns["r"]))


def test_ragged_readings_stop_a_run_with_the_row_named(spec):
    data = rows()
    data["r"][7] = [[1.0], [2.0, 3.0]]
    with pytest.raises(DataUnfit, match=r"row 7 \(from 0\) of column 'r'.*reading 0"):
        load(spec(data))


def test_equal_sequences_have_equal_hashes_and_their_shape_counts():
    cells = objects(
        [
            np.array([[1.0, np.nan]], np.float32),
            np.array([[1.0, -np.nan]], np.float32),
            np.array([[1.0], [np.nan]], np.float32),
            np.array([[0.0]], np.float32),
            np.array([[-0.0]], np.float32),
        ]
    )
    first, second, third, zero, minus = hash_sequences(cells).tolist()
    assert first == second
    assert zero == minus
    assert len({first, third, zero}) == 3


def test_what_windows_share_is_kept_once():
    base = np.arange(200, dtype=np.float32).reshape(100, 2).copy()
    cells = objects([*(base[at : at + 10] for at in range(90, -1, -1)), base[:0]])
    pool, first, steps = pooled(cells[np.arange(0, 92, 3)], 2)
    assert len(pool) == 100
    assert all(map(np.array_equal, unpooled(pool, first, steps), cells[np.arange(0, 92, 3)]))


def test_readings_that_no_window_holds_are_not_kept():
    base = np.arange(20, dtype=np.float32).reshape(20, 1).copy()
    cells = objects([base[15:18], base[2:5]])
    pool, first, steps = pooled(cells, 1)
    assert pool[:, 0].tolist() == [2, 3, 4, 15, 16, 17]
    assert (first.tolist(), steps.tolist()) == ([3, 0], [3, 3])
