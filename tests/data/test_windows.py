import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.data.windows import arrange, repeated, spans

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=6)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@given(LENGTHS, st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_every_window_lies_within_its_unit_and_the_last_ends_where_the_unit_does(lengths, window, step, ahead):
    offsets = offsets_of(lengths)
    rows = spans(offsets, window=window, step=step, ahead=ahead)
    for unit, length in enumerate(lengths):
        ends = rows.end[rows.unit == unit] - offsets[unit]
        firsts = rows.first[rows.unit == unit] - offsets[unit]
        left = length - ahead
        if left < 1:
            assert not len(ends)
            continue
        assert ends[-1] == left
        assert (np.diff(ends) == step).all()
        assert (firsts >= 0).all()
        assert (ends - firsts == np.minimum(window, ends)).all()
        assert ends[0] - step < min(window, left)  # none is left out that has all its readings
        assert (ends >= min(window, left)).all()


@given(LENGTHS)
def test_without_a_window_there_is_one_row_a_unit_of_all_that_it_has(lengths):
    rows = spans(offsets_of(lengths), window=None)
    assert (rows.end - rows.first).tolist() == [length for length in lengths if length]


def test_first_windows_may_be_shorter_where_that_is_asked_for():
    rows = spans(np.array([0, 4]), window=3, least=1)
    assert (rows.end - rows.first).tolist() == [1, 2, 3, 3]


def test_cells_are_views_and_nothing_is_copied():
    readings = np.zeros((5, 2), np.float32)
    cells = spans(np.array([0, 5]), window=2).cells(readings)
    assert all(np.shares_memory(cell, readings) for cell in cells)
    assert [cell.shape for cell in cells] == [(2, 2)] * 4


def test_readings_are_put_in_order_and_those_of_one_time_stay_as_they_stood():
    unit, times = np.array([1, 0, 1, 1]), np.array([2.0, 9.0, 1.0, 1.0])
    made = arrange(unit, times)
    assert made.index.tolist() == [1, 2, 3, 0]
    assert made.offsets.tolist() == [0, 1, 4]
    assert repeated(made, times).tolist() == [False, True, False, False]


@pytest.mark.parametrize("window", [1, 3, None])
def test_no_readings_give_no_rows(window):
    assert len(spans(np.array([0]), window=window)) == 0
