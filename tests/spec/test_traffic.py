"""Traffic in a spec: a mean, the shape of a day, or a CSV of requests per hour."""

import pytest

from steelyard.errors import SpecInvalid
from steelyard.spec import Spec, Traffic, load, parse

HEAD = "data: a.csv\ntarget: b\n"


def csv(tmp_path, lines, head="hour,requests", name="traffic.csv"):
    (tmp_path / name).write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return tmp_path / name


def day(first=0, hours=24):
    return [f"{first + hour},{3600 * (hour + 1)}" for hour in range(hours)]


def test_a_shape_is_scaled_to_the_mean():
    traffic = Traffic(mean_rps=10, shape=[0.0] * 12 + [1.0] * 12)
    assert sum(traffic.hourly_rps) / 24 == pytest.approx(10)
    assert traffic.most_rps == pytest.approx(20)
    assert Traffic(mean_rps=10, peak_rps=50, shape=[1.0] * 24).most_rps == 50


def test_a_file_is_read_beside_the_spec_and_the_spec_then_says_it_by_itself(tmp_path):
    csv(tmp_path, day())
    (tmp_path / "spec.yaml").write_text(HEAD + "traffic: {file: traffic.csv, peak_rps: 60}\n")
    found = load(tmp_path / "spec.yaml")
    assert found.serving.traffic.mean_rps == pytest.approx(12.5)
    assert found.serving.traffic.hourly_rps[23] == pytest.approx(24)
    (tmp_path / "traffic.csv").unlink()
    assert parse(found.to_yaml()).serving.traffic == found.serving.traffic


def test_times_may_be_written_instead_of_numbers(tmp_path):
    lines = [f"2026-11-{1 + h // 24:02}T{h % 24:02}:00,{h}" for h in range(168)]
    assert len(Traffic(file=csv(tmp_path, lines)).hours) == 168


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*day()[:5], *day()[6:]], "line 7: hour 6 does not follow 4; fill the gap"),
        ([*day()[:5], "5,-3", *day()[6:]], "line 7: requests must be a number of 0 or more; got '-3'"),
        ([*day()[:5], "5,", *day()[6:]], "line 7: requests must be a number"),
        ([*day()[:5], "5,nan", *day()[6:]], "line 7: requests must be a number"),
        ([*day()[:5], "5,1,2", *day()[6:]], "line 7: must hold 2 cells"),
        ([*day()[:5], "x,3", *day()[6:]], "line 7: hour must be a whole number"),
        (day(first=3), "line 2: hours count from 0; the first one is 3"),
        (day(hours=23), "holds 23 hours; give 24"),
        ([], "holds 0 hours"),
        (["2026-11-02T00:00,1", "2026-11-02T02:00,1"], "is not one hour after 2026-11-02T00:00:00; fill the gap"),
        (["2026-11-02T00:00,1", "2026-11-02T01:00+01:00,1"], "an offset from UTC, or none"),
    ],
)
def test_a_broken_file_is_told_by_its_line(tmp_path, lines, said):
    with pytest.raises(SpecInvalid) as problem:
        Traffic(file=csv(tmp_path, lines))
    assert said in str(problem.value)


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(
        SpecInvalid, match="has the columns when, requests, not hour and requests; write one line an hour"
    ):
        Traffic(file=csv(tmp_path, day(), head="when,requests"))


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(SpecInvalid, match="cannot be read"):
        Traffic(file=tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecInvalid, match="not UTF-8"):
        Traffic(file=tmp_path / "bytes.csv")


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ("{mean_rps: 1, shape: [1, 2]}", "shape must be 24 numbers"),
        (f"{{mean_rps: 1, shape: {[0] * 24}}}", "not all 0"),
        (f"{{mean_rps: 1, shape: {[-1] * 24}}}", "shape[0]"),
        (f"{{mean_rps: 5, hours: {[3600] * 24}}}", "mean_rps is not the mean of the hours"),
        (f"{{hours: {[3600] * 23}}}", "hours must be 24 at least"),
        (f"{{hours: {[3600] * 24}, shape: {[1] * 24}}}", "keep one of them"),
        ("{peak_rps: 3}", "mean_rps"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(traffic, said):
    with pytest.raises(SpecInvalid) as problem:
        parse(HEAD + f"traffic: {traffic}")
    assert said in str(problem.value)


def test_a_mean_alone_is_as_before():
    assert Traffic(mean_rps=5).most_rps == 5
    assert Traffic(mean_rps=5).hourly_rps == ()
    assert Spec(data="a.csv", target="b", traffic=Traffic(mean_rps=5, peak_rps=9)).serving.traffic.most_rps == 9
