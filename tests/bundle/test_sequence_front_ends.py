"""Sequences before a graph: padded with a mask, or summed up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends._summary import STATISTICS
from steelyard.contracts import Feed
from steelyard.data.coerce import objects
from steelyard.errors import BundleRefused

NAN = np.nan


def cells(*several):
    return objects(np.array(one, np.float32).reshape(-1, 2) for one in several)


def front(**options):
    given = {"longest": 4, "fill": [10.0, 20.0], "marked": [1]} | options
    return FRONT_ENDS["sequence"](Feed("sequence", ("values", "mask"), ("r",), given), {})


def summary(**options):
    given = {"channels": 2, "longest": 50} | options
    return FRONT_ENDS["summary"](Feed("summary", ("x",), ("r",), given), {})


SOME = [[[1, NAN], [NAN, 5], [3, NAN]], [[NAN, 1]], [], [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]]


def test_padding_stands_behind_and_the_mask_tells_it():
    made = front()({"r": cells(*SOME)})
    assert made["mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert (made["values"] * (1 - made["mask"][..., None]) == 0).all()


def test_a_missing_reading_takes_the_one_before_it_the_first_the_fill_and_a_mark_tells_it():
    values = front()({"r": cells(*SOME)})["values"]
    assert values[0, :3].tolist() == [[1, 20, 1], [1, 5, 0], [3, 5, 1]]
    assert values[1, 0].tolist() == [10, 1, 0]


def test_of_a_longer_row_the_last_readings_count_and_what_was_cut_still_fills():
    made = front(longest=2)({"r": cells([[7, 8], [NAN, 9], [2, NAN]], [[5, 5]])})
    assert made["values"][0].tolist() == [[7, 9, 0], [2, 9, 1]]
    assert made["values"][1].tolist() == [[5, 5, 0], [0, 0, 0]]


def test_no_sequence_has_fewer_than_one_step_of_padding():
    made = front()({"r": cells([], [])})
    assert made["values"].shape == (2, 1, 3)
    assert not made["mask"].any()


SEQUENCE = st.lists(st.tuples(*[st.one_of(st.none(), st.integers(-50, 50))] * 2), max_size=9)


@given(st.lists(SEQUENCE, min_size=1, max_size=5), st.sampled_from(["sequence", "summary"]))
def test_a_row_alone_is_read_as_among_others(rows, which):
    extract = front() if which == "sequence" else summary()
    several = cells(*rows)
    together = extract({"r": several})
    for place, cell in enumerate(several):
        for name, alone in extract.row({"r": cell}).items():
            among = together[name][place]
            if which == "sequence":
                assert not among[alone.shape[1] :].any()
                among = among[: alone.shape[1]]
            assert np.array_equal(alone[0], among, equal_nan=True)


@given(SEQUENCE)
def test_the_figures_are_those_of_numpy(rows):
    cell = cells(rows)[0].astype(np.float64)
    figures = summary()({"r": cells(rows)})["x"][0]
    assert figures[0] == len(rows)
    for channel in range(2):
        values = cell[:, channel]
        known, at = values[~np.isnan(values)], np.flatnonzero(~np.isnan(values))
        got = dict(zip(STATISTICS, figures[1 + 10 * channel : 11 + 10 * channel], strict=True))
        if not len(known):
            assert np.isnan(list(got.values())).all()
            continue
        assert got["last"] == known[-1]
        wanted = [known.mean(), known.std(), *np.quantile(known, [0, 0.25, 0.5, 0.75, 1])]
        names = ["mean", "deviation", "low", "q25", "median", "q75", "high"]
        assert [got[name] for name in names] == pytest.approx(wanted, abs=1e-9)
        if len(known) > 1:
            assert got["slope"] == pytest.approx(np.polyfit(at, known, 1)[0], abs=1e-9)
        else:
            assert np.isnan(got["slope"])
        pairs = np.abs(np.diff(values))[~np.isnan(np.diff(values))]
        assert got["change"] == pytest.approx(pairs.mean()) if len(pairs) else np.isnan(got["change"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"longest": 0}, "longest must be a whole number"),
        ({"fill": []}, "fill must be one finite number a channel"),
        ({"fill": [1.0, NAN]}, "fill must be one finite number a channel"),
        ({"marked": [2]}, "marked must be numbers of its channels"),
        ({"longset": 3}, "no option 'longset'"),
    ],
)
def test_options_that_cannot_be_kept_are_refused(options, said):
    with pytest.raises(BundleRefused, match=said):
        front(**options)


def test_a_summary_without_channels_is_refused():
    with pytest.raises(BundleRefused, match="channels must be a whole number"):
        summary(channels=0)
