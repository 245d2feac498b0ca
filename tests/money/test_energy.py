"""Energy: read from the processors' counters where there are any, a range by a published model elsewhere."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.money import EntryKind, Ledger, Prices
from steelyard.money.catalogue import carbon
from steelyard.money.energy import Metered, Rapl, carbon_of, energy_entries, energy_of, hourly, memory, processors
from steelyard.units import Estimate, How, Seconds

MACHINE = {"cores": "8", "memory": "64.0 GB"}
RANGE = 262_143_328_850


@pytest.fixture
def powercap(tmp_path):
    """A folder such as the kernel's: one package with its cores and its memory."""

    def domain(name, kind, microjoules):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(f"{kind}\n")
        (folder / "energy_uj").write_text(f"{microjoules}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
        return folder / "energy_uj"

    return domain


def test_the_packages_are_counted_and_not_their_cores_once_more(powercap, tmp_path):
    package = powercap("intel-rapl:0", "package-0", 1_000_000)
    cores = powercap("intel-rapl:0:0", "core", 500_000)
    meter = Rapl.found(tmp_path)
    package.write_text("4000000\n")
    cores.write_text("2000000\n")
    assert meter.sample() == pytest.approx(3.0)
    assert meter.sample() == 0.0
    assert (meter.joules, meter.memory) == (pytest.approx(3.0), False)


def test_memory_is_counted_where_every_package_has_it(powercap, tmp_path):
    powercap("intel-rapl:0", "package-0", 0)
    dram = powercap("intel-rapl:0:1", "dram", 0)
    meter = Rapl.found(tmp_path)
    dram.write_text("2000000\n")
    assert (meter.sample(), meter.memory) == (pytest.approx(2.0), True)


def test_a_counter_that_began_anew_is_seen(powercap, tmp_path):
    package = powercap("intel-rapl:0", "package-0", RANGE - 1_000_000)
    meter = Rapl.found(tmp_path)
    package.write_text("2000000\n")
    assert meter.sample() == pytest.approx(3.0)


def test_no_counter_that_may_be_read_is_no_meter(powercap, tmp_path):
    assert Rapl.found(tmp_path) is None
    assert Rapl.found(tmp_path / "nowhere") is None
    powercap("intel-rapl:0", "package-0", 1).write_text("no number\n")
    assert Rapl.found(tmp_path) is None
    powercap("intel-rapl:0", "psys", 1)
    assert Rapl.found(tmp_path) is None


def test_a_counter_that_goes_away_counts_nothing_more(powercap, tmp_path):
    package = powercap("intel-rapl:0", "package-0", 0)
    meter = Rapl.found(tmp_path)
    package.unlink()
    assert meter.sample() == 0.0


def test_an_estimate_is_a_range_around_codecarbon_s_figures():
    one = processors(8)
    assert (one.value, one.low, one.high) == (16.0, pytest.approx(9.6), pytest.approx(44.8))  # 8 threads at 4 W, half
    known = processors(4, of=8, tdp=100.0)
    assert (known.value, known.high) == (25.0, 50.0)  # half of half of it; at most all of its half
    assert processors(16, of=8, tdp=100.0).high == 100.0
    assert known.how is How.ESTIMATED


@pytest.mark.parametrize(
    ("gigabytes", "watts"), [(2, 10), (8, 10), (32, 20), (64, 20), (128, 38), (1024, 38), (4096, 126)]
)
def test_memory_is_by_modules_as_codecarbon_counts_them(gigabytes, watts):
    one = memory(gigabytes)
    assert one.value == pytest.approx(watts)
    assert one.low <= one.value <= one.high
    assert min(one.low, one.high) == pytest.approx(min(watts, gigabytes * 3 / 8))


def test_what_was_metered_is_measured_and_the_rest_is_estimated():
    hour = Seconds(3600)
    whole = energy_of(MACHINE, 8, hour, Metered(joules=72_000, seconds=3599, memory=True))
    assert (whole.how, whole.value) == (How.MEASURED, pytest.approx(0.02, rel=0.01))
    without = energy_of(MACHINE, 8, hour, Metered(joules=72_000, seconds=3600))
    assert without.how is How.ESTIMATED
    assert without.value == pytest.approx(0.02 + 0.02)  # and 20 W of memory
    half = energy_of(MACHINE, 8, hour, Metered(joules=72_000, seconds=1800, memory=True))
    assert half.value == pytest.approx(0.02 + 0.5 * (0.016 + 0.020))
    assert "RAPL" in half.source
    assert "CodeCarbon" in half.source


def test_a_machine_of_which_nothing_is_known_has_no_estimate():
    assert energy_of({}, 2, Seconds(1), Metered()) is None
    assert energy_of({"cores": "two", "memory": "8 GB"}, 2, Seconds(1), Metered()) is None


@given(st.floats(0, 1e7), st.integers(1, 256), st.floats(0.5, 4000))
def test_the_range_holds_the_estimate_and_grows_with_time(seconds, cores, gigabytes):
    machine = {"cores": str(cores), "memory": f"{gigabytes:.1f} GB"}
    one = energy_of(machine, cores, Seconds(seconds), Metered())
    assert 0 <= one.low <= one.value <= one.high
    assert energy_of(machine, cores, Seconds(seconds + 1), Metered()).value > one.value


def own(tmp_path, text):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return Prices.load(path)


ENERGY = Estimate(0.5, 0.3, 1.0, How.ESTIMATED, "kWh", "CodeCarbon's model")


def test_energy_costs_where_electricity_is_paid_for_and_only_there(tmp_path):
    paid, carbon_line = energy_entries(ENERGY, own(tmp_path, "electricity: 0.30\ncountry: FRA\n"))
    assert (paid.kind, paid.amount.amount, paid.low, paid.high) == (
        EntryKind.ENERGY,
        Decimal("0.15"),
        Decimal("0.300000"),
        Decimal("1.000000"),
    )
    assert (carbon_line.quantity, carbon_line.amount.amount) == (Decimal("33.695000"), 0)
    included, _ = energy_entries(ENERGY, Prices.load())
    assert (included.kind, included.amount.amount, included.quantity) == (EntryKind.NOTE, 0, Decimal("0.500000"))
    assert "included in the price of a core-hour" in included.source
    assert Ledger.of([paid, carbon_line], "USD").totals()["energy"].amount == Decimal("0.15")


def test_carbon_of_an_unknown_country_is_assumed_and_spans_all_countries(tmp_path):
    world, france = carbon_of(ENERGY, Prices.load()), carbon_of(ENERGY, own(tmp_path, "country: FRA\n"))
    assert world.how is How.ASSUMED
    assert world.low == pytest.approx(0.3 * carbon()["ISL"].grams.value)
    assert france.how is How.ESTIMATED
    assert france.value == pytest.approx(0.5 * 67.39)


def test_an_hour_costs_more_where_electricity_is_paid_for_and_a_budget_counts_with_the_most(tmp_path):
    prices = own(tmp_path, "core_hour: 0.01\nelectricity: 0.50\n")
    from steelyard.search.allowance import seconds_of
    from steelyard.spec import Budget
    from steelyard.units import Money

    hour = hourly(prices, 2)
    assert hour.amount > Decimal("0.02")
    assert hourly(Prices.load(), 2).amount == Decimal("0.1008")
    limit = seconds_of(Budget(money=Money(Decimal(1))), prices, 2)
    assert limit == pytest.approx(float(3600 / hour.amount))
