"""Tables of past values become origins on regular steps, split so that no value is both learned from and scored."""

import numpy as np
import pytest

from steelyard.contracts import Kind, Problem
from steelyard.data import Severity, inspect, load, store
from steelyard.data.steps import BUSINESS_DAYS, MONTHS, Irregular, step_of
from steelyard.errors import DataUnfit, SpecInvalid
from steelyard.spec import Spec


def daily(n, start="2023-01-01"):
    return [str(day) for day in np.datetime64(start) + np.arange(n)]


def table(n=200, **columns):
    values = 10 + 3 * np.sin(np.arange(n) * 2 * np.pi / 7) + np.random.default_rng(0).normal(size=n)
    return {"day": daily(n), "sold": values.tolist(), **columns}


def spec(data, **more):
    forecast = {"time": "day", "horizon": 5, **more.pop("forecast", {})}
    return Spec(data=data, target=more.pop("target", "sold"), forecast=forecast, **more)


def finding(seen, code):
    return next(found for found in seen.findings if found.code == code)


def test_a_row_holds_the_steps_up_to_its_origin_and_the_values_behind_it():
    data = table()
    found = load(spec(data, forecast={"history": 10}))
    assert found.task.problem is Problem.FORECASTING
    assert (found.task.season, found.task.width) == (7, 5)
    place = 40
    origin = int((found.rows.columns["time"][place] - found.task.timeline.start) // 86_400)
    np.testing.assert_allclose(
        found.rows.columns["history"][place][:, 0], data["sold"][origin - 9 : origin + 1], rtol=1e-6
    )
    np.testing.assert_allclose(found.rows.target[place], data["sold"][origin + 1 : origin + 6])


def test_the_scale_is_what_the_seasonal_naive_forecast_errs_by_up_to_the_origin():
    data = table()
    found = load(spec(data))
    values = np.array(data["sold"])
    origin = int((found.rows.columns["time"][-1] - found.task.timeline.start) // 86_400)
    expected = np.abs(values[7 : origin + 1] - values[: origin - 6]).mean()
    np.testing.assert_allclose(found.rows.scales[-1], [expected])


@pytest.mark.parametrize("folds", [0, None, 4])
def test_no_value_is_both_learned_from_and_scored(folds):
    found = load(spec(table(400), split={"folds": folds} if folds is not None else {}))
    origins = found.rows.columns["time"] / 86_400
    parts = found.partition
    assert origins[parts.test].min() >= origins[parts.development].max() + 5
    for part in parts.parts:
        assert origins[part.score].min() >= origins[part.fit].max() + 5
    if folds == 0:
        assert origins[parts.validation].min() >= origins[parts.calibration].max() + 5
    else:
        assert len(parts.parts) == (folds or 3)


def test_a_column_of_sides_gives_the_test_and_drops_origins_across_its_border():
    sides = ["train"] * 120 + ["validation"] * 40 + ["test"] * 40
    found = load(spec(table(200, side=sides), split={"column": "side"}, forecast={"history": 10}))
    origins = ((found.rows.columns["time"] - found.task.timeline.start) // 86_400).astype(int)
    parts = found.partition
    assert origins[parts.test].tolist() == list(range(159, 195))
    assert origins[parts.validation].tolist() == list(range(119, 155))
    assert origins[parts.calibration].max() == 114
    assert origins[parts.parts[0].fit].max() <= origins[parts.calibration].min() - 5


def long(lengths, **more):
    day, shop, sold = [], [], []
    for name, length in lengths.items():
        day += daily(200)[200 - length :]
        shop += [name] * length
        sold += (np.arange(length) + 0.5).tolist()
    return {"day": day, "shop": shop, "sold": sold, **more}


def test_series_of_unequal_length_are_kept_and_padded_on_the_left():
    found = load(spec(long({"old": 200, "young": 60}), forecast={"series": "shop", "history": 30}))
    names = found.rows.columns["series"]
    assert set(names) == {"old", "young"}
    youngest = found.rows.columns["history"][int(np.flatnonzero(names == "young")[0])]
    assert np.isnan(youngest[0, 0])
    assert youngest[-1, 0] == int((~np.isnan(youngest[:, 0])).sum()) - 0.5
    assert found.task.timeline.names == ("old", "young")


def test_a_series_of_a_wide_table_stands_beside_the_others():
    data = table(150, other=[float(x) for x in range(150)], note=["x"] * 150)
    found = load(Spec(data=data, target=["sold", "other"], forecast={"time": "day", "horizon": 5}))
    assert found.task.series == ("sold", "other")
    assert found.rows.target.shape[1] == 10
    row = found.rows.target[3].reshape(5, 2)
    np.testing.assert_allclose(np.diff(row[:, 1]), 1.0)
    assert "'note'" in finding(inspect(spec(data)), "not_read").sentence


def test_what_is_known_ahead_stands_beside_the_history():
    data = table(150, holiday=[float(i % 10 == 0) for i in range(150)])
    found = load(spec(data, forecast={"known": ["holiday"], "history": 10}))
    kinds = {column.name: column.kind for column in found.schema.columns}
    assert kinds == {"history": Kind.SEQUENCE, "future": Kind.SEQUENCE, "time": Kind.TIME}
    origin = int((found.rows.columns["time"][50] - found.task.timeline.start) // 86_400)
    expected = [float(i % 10 == 0) for i in range(origin + 1, origin + 6)]
    assert found.rows.columns["future"][50][:, 0].tolist() == expected


def test_gaps_are_filled_with_nothing_and_said():
    data = {name: cells[:90] + cells[94:] for name, cells in table().items()}
    seen = inspect(spec(data))
    gaps = finding(seen, "gaps")
    assert gaps.severity is Severity.WARN
    assert "4 steps have no row" in gaps.sentence
    assert "2023-04-01" in gaps.sentence
    assert np.isnan(seen.dataset.rows.target).sum() == 4 * 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["day"].__setitem__(7, d["day"][6]), ["rows 6 and 7", "2023-01-07", "forecast.series"]),
        (lambda d: d["day"].__setitem__(7, "2023-01-08 07:00:00"), ["row 7", "between two steps", "round the times"]),
        (lambda d: d["day"].__setitem__(7, "soon"), ["row 7", "'soon'", "no time"]),
        (lambda d: d["sold"].__setitem__(7, "many"), ["'sold'", "row 7", "'many'"]),
    ],
)
def test_rows_that_are_no_series_are_refused_with_the_way_out(change, words):
    data = table()
    data["sold"] = [str(value) for value in data["sold"]]
    change(data)
    with pytest.raises(DataUnfit) as refused:
        load(spec(data))
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("horizon", [60, 199, 5_000])
def test_a_horizon_longer_than_the_series_is_refused_in_one_sentence(horizon):
    with pytest.raises(DataUnfit) as refused:
        load(spec(table(), forecast={"horizon": horizon}))
    assert "forecast.horizon" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_columns_that_are_not_there_are_named_with_the_nearest():
    with pytest.raises(DataUnfit, match="did you mean 'sold'"):
        load(spec(table(), target="solt"))


@pytest.mark.parametrize(
    ("times", "unit", "name"),
    [
        (np.arange("2020-01", "2022-01", dtype="datetime64[M]").astype("datetime64[s]"), MONTHS, "month"),
        (np.arange("2020-02", "2022-02", dtype="datetime64[M]").astype("datetime64[D]") - 1, MONTHS, "month"),
        (np.arange("2020-01", "2023-01", 3, dtype="datetime64[M]").astype("datetime64[s]"), MONTHS, "quarter"),
        (np.busday_offset("2020-01-01", np.arange(40), roll="forward"), BUSINESS_DAYS, "business day"),
        (np.arange("2020-01-01", "2020-06-01", 7, dtype="datetime64[D]"), "second", "week"),
    ],
)
def test_the_step_is_found_from_the_times(times, unit, name):
    seconds = times.astype("datetime64[s]").astype(np.float64)
    step = step_of([seconds], moments=True)
    assert (step.unit, step.name) == (unit, name)
    np.testing.assert_array_equal(step.times(np.arange(len(seconds))), seconds)


def test_times_without_a_step_are_refused():
    with pytest.raises(Irregular, match="keep no regular step"):
        step_of([np.cumsum(np.random.default_rng(0).uniform(1e3, 1e5, 50))], moments=True)


def test_origins_that_share_values_are_resampled_together():
    found = load(spec(table(400)))
    test = found.partition.test
    origins = found.rows.columns["time"][test] / 86_400
    for code in np.unique(found.groups[test]):
        mine = origins[found.groups[test] == code]
        assert mine.max() - mine.min() < 5
    many = load(spec(long({f"s{i:02}": 60 for i in range(30)}), forecast={"series": "shop"}))
    assert len(np.unique(many.groups[many.partition.test])) >= 10 or len(np.unique(many.groups)) == 30


def test_a_stored_data_set_of_series_reads_back_the_same(tmp_path):
    data = table(150, holiday=[float(i % 10 == 0) for i in range(150)])
    made = load(spec(data, forecast={"known": ["holiday"]}))
    store.save(made, tmp_path)
    again = store.read(tmp_path)
    assert again.task == made.task
    assert again.schema == made.schema
    np.testing.assert_array_equal(again.rows.target, made.rows.target)
    np.testing.assert_array_equal(again.rows.scales, made.rows.scales)
    for name in ("history", "future"):
        for one, other in zip(again.rows.columns[name], made.rows.columns[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_forecast_aims_at_errors_not_at_coverage():
    with pytest.raises(SpecInvalid, match="coverage"):
        load(spec(table(), quality={"metric": "coverage"}))
