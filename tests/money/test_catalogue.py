"""The catalogue: every row has a source and a date, keeps its schema, and is sane."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files

import jsonschema
import pytest
import yaml

from steelyard.errors import DataUnreadable
from steelyard.money import catalogue
from steelyard.money.catalogue import carbon, functions, machines, units
from steelyard.money.catalogue.bounds import BOUNDS, GRAMS, odd, outside
from steelyard.money.catalogue.refresh import read, refreshed, written
from steelyard.units import How

FOLDER = files("steelyard.money.catalogue")
FILES = ("machines", "functions", "carbon", "units")


def text_of(name):
    return FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(FOLDER.joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", FILES)
def test_every_file_keeps_the_schema_and_every_row_names_a_source_of_its_file(validator, name):
    plain = json.loads(json.dumps(yaml.safe_load(text_of(name)), default=str))
    validator.validate(plain)
    rows = [row for part, found in plain.items() if part != "sources" for row in found]
    assert {row["source"] for row in rows} == plain["sources"].keys()
    for source in plain["sources"].values():
        assert date.fromisoformat(source["date"]) <= datetime.now(UTC).date()


@pytest.mark.parametrize(
    "change",
    [{"on_demand": -1}, {"on_demand": 0}, {"family": "fast"}, {"colour": "red"}, {"accelerator": "T4"}, {"cores": 0.5}],
)
def test_the_schema_refuses_what_is_no_row(validator, change):
    plain = json.loads(json.dumps(yaml.safe_load(text_of("machines")), default=str))
    plain["machines"][0] |= change
    assert not validator.is_valid(plain)


def test_machines_are_of_three_clouds_and_three_families_on_demand_and_spot():
    found = machines()
    assert {m.cloud for m in found} >= {"aws", "gcp", "lambda"}
    for cloud in ("aws", "gcp"):
        own = [m for m in found if m.cloud == cloud]
        assert {m.family for m in own} == {"general", "compute", "accelerated"}
        assert all(m.spot is not None for m in own)
        assert len({m.region for m in own}) == 2
    assert len({m.key for m in found}) == len(found) >= 20
    assert all((m.family == "accelerated") == (m.accelerators > 0) == bool(m.accelerator) for m in found)


def test_every_price_of_the_catalogue_is_sane_dated_and_cited():
    prices = [p for m in machines() for p in (m.on_demand, m.spot) if p is not None]
    prices += [p for f in functions() for p in (f.gb_second, f.request)]
    prices += [p for found in units().values() for p in found.values()]
    for price in prices:
        assert outside(price.per, price.amount.amount) is None
        assert price.amount.amount > 0
        assert len(price.source) > 20
        date.fromisoformat(price.date)
    for m in machines():
        assert "skypilot-org/skypilot-catalog" in m.on_demand.source
        assert " at " in m.on_demand.source
        spot = None if m.spot is None else m.spot.amount.amount
        assert odd(m.on_demand.amount.amount, spot, m.cores, m.accelerators) is None


def test_what_nobody_measured_is_marked_assumed():
    assert all(f.cold_start.how is How.ASSUMED and f.cold_start.unit == "ms" for f in functions())
    assert all(p.how is How.ASSUMED for part in ("labels", "people") for p in units()[part].values())
    assert carbon()["WORLD"].grams.how is How.ASSUMED


def test_rows_are_those_of_their_source():
    known = {m.key: m for m in machines()}
    assert known["aws/m7i.large/us-east-1"].on_demand.amount.amount == Decimal("0.1008")
    # Google sells the accelerator beside the machine: 0.14679 and 0.56004 USD an hour
    assert known["gcp/g2-standard-4/us-central1"].on_demand.amount.amount == Decimal("0.14679") + Decimal("0.56004")
    assert carbon()["DEU"].grams.value == 365.477
    low, high = carbon()["WORLD"].grams.low, carbon()["WORLD"].grams.high
    assert (low, high) == tuple(f(c.grams.value for k, c in carbon().items() if k != "WORLD") for f in (min, max))
    assert all(GRAMS[0] <= one.grams.low <= one.grams.value <= one.grams.high <= GRAMS[1] for one in carbon().values())


def test_the_default_core_hour_is_the_catalogue_s_machine_by_the_core():
    from steelyard.money import Prices

    default = Prices.load().core_hour
    (row,) = (m for m in machines() if m.key == "aws/m7i.large/us-east-1")
    assert default.amount.amount * row.cores == row.on_demand.amount.amount


def test_every_unit_has_bounds():
    assert set(catalogue.UNITS.values()) <= BOUNDS.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("504", None, 2, 0), "not between"),
        (("0.01", None, 4, 1), "for each accelerator"),
        (("0.10", "0.11", 2, 0), "dearer than on demand"),
        (("0.10", "0.001", 2, 0), "under 3% of on demand"),
    ],
)
def test_a_slip_by_a_digit_is_seen(words, said):
    on_demand, spot, cores, accelerators = words
    assert said in odd(Decimal(on_demand), spot and Decimal(spot), cores, accelerators)
    assert odd(Decimal("0.10"), Decimal("0.03"), 2, 0) is None


HEAD = "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n"


@pytest.fixture
def csv_of(tmp_path):
    def write(*lines, head=HEAD):
        path = tmp_path / "vms.csv"
        path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def of(key, found):
    (one,) = (m for m in found if m.key == key)
    return one


def test_a_refresh_takes_the_region_s_price_and_the_cheapest_zone_and_tells_what_changed(csv_of):
    zones = ("e2-standard-4,4.0,16.0,,,,us-central1,a,0.15,0.07", "e2-standard-4,4.0,16.0,,,,us-central1,b,0.15,0.065")
    found, changes = refreshed(machines(), read(csv_of(*zones)), "gcp")
    one = of("gcp/e2-standard-4/us-central1", found)
    assert (one.on_demand.amount.amount, one.spot.amount.amount) == (Decimal("0.15"), Decimal("0.065"))
    said = [c.sentence for c in changes if c.key == one.key]
    assert said == ["on demand 0.13402 to 0.15 USD an hour (+12%)", "spot 0.06188 to 0.065 USD an hour (+5%)"]
    missing = [c for c in changes if not c.taken]
    assert len(missing) == sum(m.cloud == "gcp" for m in machines()) - 1
    assert [m for m in found if m.cloud == "aws"] == [m for m in machines() if m.cloud == "aws"]


def test_a_refresh_adds_an_accelerator_that_is_sold_beside_the_machine(csv_of):
    rows = (
        "g2-standard-4,4.0,16.0,,,,us-central1,a,0.14679,0.05874",
        ",,,L4,1,x,us-central1,a,0.60,0.20",
        ",,,L4,1,x,us-east1,a,0.58,0.20",
    )
    found, _ = refreshed(machines(), read(csv_of(*rows)), "gcp")
    one = of("gcp/g2-standard-4/us-central1", found)
    assert (one.on_demand.amount.amount, one.spot.amount.amount) == (Decimal("0.74679"), Decimal("0.25874"))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("e2-standard-4,4.0,16.0,,,,us-central1,a,13.4,0.07", "not between"),
        ("e2-standard-4,4.0,16.0,,,,us-central1,a,0.00,0.00", "no price of it"),
        ("e2-standard-4,4.0,16.0,,,,us-central1,a,0.13,0.14", "dearer than on demand"),
        ("e2-standard-4,8.0,16.0,,,,us-central1,a,0.13,0.06", "8 cores"),
    ],
)
def test_a_refresh_refuses_a_slip_and_keeps_what_there_was(csv_of, row, why):
    found, changes = refreshed(machines(), read(csv_of(row)), "gcp")
    key = "gcp/e2-standard-4/us-central1"
    assert of(key, found) == of(key, machines())
    (change,) = (c for c in changes if c.key == key)
    assert not change.taken
    assert why in change.sentence


def test_a_refresh_refuses_a_region_that_is_far_from_all_others(csv_of):
    rows = ["g2-standard-4,4.0,16.0,,,,us-central1,a,0.14679,0.05874", ",,,L4,1,x,us-central1,a,1.90,0.2"]
    rows += [f",,,L4,1,x,region-{k},a,0.6,0.2" for k in range(5)]
    _, changes = refreshed(machines(), read(csv_of(*rows)), "gcp")
    (change,) = (c for c in changes if c.key == "gcp/g2-standard-4/us-central1")
    assert "median of all regions" in change.sentence


def test_a_file_that_is_none_is_refused_in_a_sentence(csv_of, tmp_path):
    with pytest.raises(DataUnreadable, match="lacks the columns InstanceType"):
        read(csv_of("1,2", head="a,b\n"))
    with pytest.raises(DataUnreadable, match=r"name a vms\.csv"):
        read(tmp_path / "nowhere.csv")


def test_what_is_written_is_read_back_with_the_new_commit_and_date(csv_of):
    found, _ = refreshed(machines(), read(csv_of("e2-standard-4,4.0,16.0,,,,us-central1,a,0.15,0.07")), "gcp")
    text = written(text_of("machines"), found, {"gcp": ("f" * 40, "2027-01-02")})
    plain = yaml.safe_load(text)
    assert (plain["sources"]["gcp"]["commit"], str(plain["sources"]["gcp"]["date"])) == ("f" * 40, "2027-01-02")
    assert plain["sources"]["aws"] == yaml.safe_load(text_of("machines"))["sources"]["aws"]
    row = next(r for r in plain["machines"] if r["name"] == "e2-standard-4" and r["region"] == "us-central1")
    assert (row["on_demand"], row["spot"]) == (0.15, 0.07)
    assert written(text_of("machines"), machines(), {}) == text_of("machines")
