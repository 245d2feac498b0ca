"""The devices in force: what ships, what a user's file may say, and what it may not."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from steelyard.devices import Device, Devices, DevicesInvalid, Timed
from steelyard.devices.listing import device_list, lines, row_of
from steelyard.devices.reading import BOUNDS
from steelyard.units import How

TODAY = date(2026, 11, 23)
TIMES = {"convolutions": 2.6, "products": 2.4, "int8": 0.9, "calls": 0.018}


def written(folder: Path, text: str) -> Path:
    file = folder / "devices.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(folder: Path, text: str) -> str:
    with pytest.raises(DevicesInvalid) as caught:
        Devices.load(written(folder, text), today=TODAY)
    return str(caught.value)


def test_the_file_of_the_package_fits_its_schema() -> None:
    place = files("steelyard.devices")
    schema = json.loads(place.joinpath("schema.json").read_text(encoding="utf-8"))
    rows = yaml.safe_load(place.joinpath("devices.yaml").read_text(encoding="utf-8"))
    plain = json.loads(json.dumps(rows, default=str))
    jsonschema.Draft202012Validator(schema).validate(plain)


def test_every_figure_of_the_package_has_a_source_or_says_that_it_is_assumed() -> None:
    for device in Devices.load(today=TODAY).rows.values():
        assert device.source
        for name, figure in device.figures.items():
            one = figure.estimate
            assert one.how is How.ASSUMED or figure.read or figure.date, (device.name, name)
            assert BOUNDS[name][0] <= one.low <= one.value <= one.high <= BOUNDS[name][1]


def test_every_device_survives_json() -> None:
    for device in Devices.load(today=TODAY).rows.values():
        assert Device.from_json(json.loads(json.dumps(device.to_json()))) == device


def test_a_misspelt_device_is_told_the_nearest() -> None:
    with pytest.raises(DevicesInvalid, match=r"'rasberry-pi-4' \(did you mean 'raspberry-pi-4'\?\)"):
        Devices.load(today=TODAY).need("rasberry-pi-4")


def test_a_figure_older_than_a_year_is_said_to_be_old() -> None:
    devices = Devices.load(today=TODAY)
    (sentence,) = devices.old(devices.need("browser"))
    assert "2.8 years old" in sentence
    assert "steelyard targets --measure" in sentence


def test_a_file_of_2019_is_told_to_be_old_and_still_counts(tmp_path: Path) -> None:
    text = "devices: {mine: {float: 0.5, general: 0.5, int8_gain: 1, source: our bench, date: 2019-03-01}}"
    devices = Devices.load(written(tmp_path, text), today=TODAY)
    told = devices.old(devices.need("mine"))
    assert len(told) == 3
    assert all("7.7 years old (our bench, 2019-03-01)" in each for each in told)
    assert devices.need("mine").speed["float"].estimate.value == 0.5


def test_an_own_row_overrides_part_of_one_of_the_catalogue(tmp_path: Path) -> None:
    text = "devices: {raspberry-pi-4: {memory_gb: 8, general: {value: 0.6, source: mine, date: 2026-11-01}}}"
    found = Devices.load(written(tmp_path, text), today=TODAY).need("raspberry-pi-4")
    packaged = Devices.load(today=TODAY).need("raspberry-pi-4")
    assert (found.memory_gb, found.own, found.cores) == (8, True, 4)
    assert found.speed["general"].cited == "mine, 2026-11-01"
    assert found.speed["float"] == packaged.speed["float"]


def test_what_was_measured_on_a_device_becomes_its_speed(tmp_path: Path) -> None:
    timed = Timed(**TIMES, machine="a board", date="2026-11-20")
    found = Devices.load(written(tmp_path, row_of(timed)), today=TODAY).need("my-device")
    server = Devices.load(today=TODAY).need("server-core").reference
    assert server is not None
    assert found.speed["float"].estimate.value == pytest.approx(server.floats / timed.floats)
    assert found.speed["general"].estimate.value == pytest.approx(server.calls / timed.calls)
    assert found.speed["int8_gain"].estimate.value == pytest.approx(timed.int8_gain)
    assert found.speed["float"].estimate.how is How.MEASURED
    assert found.speed["float"].cited == "the fixed benchmark on a board, 2026-11-20"


def test_a_device_that_extends_another_keeps_what_it_does_not_say(tmp_path: Path) -> None:
    text = "devices: {kiosk: {extends: raspberry-pi-5, memory_gb: 8}}"
    found = Devices.load(written(tmp_path, text), today=TODAY).need("kiosk")
    assert (found.cores, found.memory_gb, found.kind) == (4, 8, "board")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{float: 0.5, general: 0.5, int8_gain: 1}", "a figure needs a `source`"),
        ("{float: 0, general: 1, int8_gain: 1, source: x}", "float must be a number above 0; got 0"),
        ("{float: -1, general: 1, int8_gain: 1, source: x}", "float must be a number above 0; got -1"),
        ("{float: 500, general: 1, int8_gain: 1, source: x}", "is the unit right? `sure: true` takes it"),
        ("{float: {value: 1, low: 2, high: 0.5, source: x}}", "the range is upside down: low 2 is above high 0.5"),
        ("{float: {value: 9, low: 1, high: 2, source: x}}", "float 9 lies outside of its range, 1 to 2; widen it"),
        ("{source: x}", "needs float, general, int8_gain, or `measured:`"),
        ("{extends: rasberry-pi-5}", "did you mean 'raspberry-pi-5'?"),
        ("{extends: raspberry-pi-5, sours: x}", "has no part 'sours' (did you mean 'source'?)"),
        ("{extends: raspberry-pi-5, memory_gb: 0}", "memory_gb must be a number above 0; got 0"),
        ("{extends: raspberry-pi-5, cores: 2.5}", "cores must be a whole number; got 2.5"),
        ("{extends: raspberry-pi-5, isa: [dotprd]}", "did you mean 'dotprod'?"),
        ("{extends: raspberry-pi-5, source: x, date: 2031-01-01}", "date must not lie in the future"),
        ("{extends: raspberry-pi-5, source: x, watts: 4, date: yesterday}", "date must be a day such as 2026-11-23"),
        ("{measured: {convolutions: 1, products: 1, int8: 0, calls: 1}}", "int8 must be a time above 0 ms"),
        ("7", "must be a row of"),
    ],
)
def test_a_row_that_is_not_in_order_says_what_is_wrong_and_the_way_out(tmp_path: Path, row: str, sentence: str) -> None:
    if "2031" in row:
        row = row.replace("source: x,", "float: {value: 1, source: x, date: 2031-01-01}, source: x,")
    assert sentence in refused(tmp_path, f"devices: {{mine: {row}}}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("devices: [", "the devices are not YAML"),
        ("- 1", "needs a mapping `devices:`"),
        ("devices: {}\nsource: {}", "has no part 'source' (did you mean 'sources'?)"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refused(tmp_path, text)


def test_all_rows_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, "devices: {one: {source: x}, two: 3}")
    assert "one: needs" in told
    assert "two: must be a row" in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevicesInvalid, match="there is no file of devices"):
        Devices.load(tmp_path / "none.yaml", today=TODAY)


def test_the_list_tells_age_source_and_what_is_assumed() -> None:
    found = device_list(today=TODAY)
    text = "\n".join(lines(found))
    assert "OVER A YEAR OLD" in text
    assert "ASSUMED" in text
    assert "no int8 dot product" in text
    by_name = {row["name"]: row for row in found["devices"]}
    assert by_name["browser"]["figures"]["float"]["age_days"] == (TODAY - date(2024, 2, 8)).days
    assert by_name["raspberry-pi-5"]["dot"]
    assert not by_name["raspberry-pi-4"]["dot"]


@given(st.floats(0.001, 40), st.floats(0.3, 1), st.floats(1, 3))
def test_a_range_that_is_in_order_is_read_as_it_is_written(value: float, down: float, up: float) -> None:
    low, high = max(0.0005, value * down), min(50.0, value * up)
    row = {"float": {"value": value, "low": low, "high": high}, "general": 1, "int8_gain": 1, "source": "x"}
    from steelyard.devices.reading import Sources, device_of

    one = device_of("mine", row, Sources({}, TODAY, "file"), {}).speed["float"].estimate
    assert (one.value, one.low, one.high) == (value, low, high)
