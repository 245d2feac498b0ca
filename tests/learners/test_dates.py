"""Calendar parts in the graph: as numpy's calendar has them, on every day that there is."""

import numpy as np

from steelyard.learners._dates import DAY, PARTS, Dates
from steelyard.learners._prelude import Prelude


def run(block, columns):
    (matrix,) = Prelude((block,)).run(columns, threads=1)
    return matrix


def calendar(days):
    """Return what numpy's calendar says of days since 1970, one column a part but the hour."""
    day = days.astype("datetime64[D]")
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    number = year.astype(int) + 1970
    leap = (number % 4 == 0) & ((number % 100 != 0) | (number % 400 == 0))
    yearday = (day - year.astype("datetime64[D]")).astype(int) + 1
    of_month = (day - month.astype("datetime64[D]")).astype(int) + 1
    return np.column_stack(
        [number, month.astype(int) % 12 + 1, of_month, yearday + ((yearday > 59) & ~leap), (days + 3) % 7]
    )


def test_every_day_of_three_centuries_is_split_as_numpy_does():
    days = np.arange(np.datetime64("1850-01-01").astype(int), np.datetime64("2150-12-31").astype(int) + 1)
    seconds = np.random.default_rng(0).integers(0, 86_400, len(days))
    parts = run(Dates.every(("when",)), {"when": days * DAY + seconds})
    np.testing.assert_array_equal(parts[:, :5], calendar(days))
    np.testing.assert_array_equal(parts[:, 5], seconds // 3600)


def test_the_ends_of_days_and_fractions_of_seconds_stay_on_their_side():
    days = np.array([-719_162, -1, 0, 59, 19_782, 2_932_896])  # 0001-01-01 to 9999-12-31, with 2024-02-29
    for offset, hour in ((0.0, 0), (0.25, 0), (3599.999, 0), (3600.0, 1), (86_399.0, 23), (86_399.5, 23)):
        parts = run(Dates.every(("when",)), {"when": days[:-1] * DAY + offset})
        np.testing.assert_array_equal(parts[:, :5], calendar(days[:-1]))
        assert (parts[:, 5] == hour).all()


def test_times_out_of_reach_and_missing_ones_are_answered():
    parts = run(Dates.every(("when",)), {"when": np.array([np.inf, -np.inf, 1e300, np.nan])})
    np.testing.assert_array_equal(parts[:3, 0], [9999, 1, 9999])
    assert np.isnan(parts[3]).all()


def test_only_parts_that_vary_are_kept_and_each_has_a_name():
    noons = np.datetime64("2023-01-01T12").astype("datetime64[s]").astype(float) + DAY * np.arange(28)
    block = Dates.fit({"when": noons, "once": np.full(28, noons[0])}, ("once", "when"), standard=False)
    assert block.names == ("when.day", "when.yearday", "when.weekday")
    assert run(block, {"when": noons, "once": noons}).shape == (28, 3)
    assert Dates.fit({"once": np.full(9, noons[0])}, ("once",), standard=False) is None


def test_a_missing_time_is_nan_only_where_training_had_some_and_never_for_sums():
    times = 1.7e9 + DAY * np.arange(40.0)
    gappy = np.where(np.arange(40) % 5 == 0, np.nan, times)
    gone = {"when": np.array([np.nan])}
    assert np.isnan(run(Dates.fit({"when": gappy}, ("when",), standard=False), gone)).all()
    assert np.isfinite(run(Dates.fit({"when": times}, ("when",), standard=False), gone)).all()
    block = Dates.fit({"when": gappy}, ("when",), standard=True)
    assert (run(block, gone) == 0).all()
    seen = run(block, {"when": gappy})[~np.isnan(gappy)]
    np.testing.assert_allclose(
        [seen.mean(axis=0), seen.std(axis=0)], [[0] * seen.shape[1], [1] * seen.shape[1]], atol=1e-3
    )


def test_some_features_of_some_columns_can_be_taken_alone():
    columns = {"a": 1.6e9 + 1e6 * np.arange(50.0), "b": 1.7e9 + 7e5 * np.arange(50.0)}
    block = Dates.fit(columns, ("a", "b"), standard=False)
    assert len(block.names) == 2 * len(PARTS)
    places = [block.names.index("b.hour"), block.names.index("b.month")]
    some = block.only(sorted(places))
    assert (some.columns, some.names) == (("b",), ("b.month", "b.hour"))
    np.testing.assert_array_equal(run(some, columns), run(block, columns)[:, sorted(places)])
