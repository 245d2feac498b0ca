"""Money and energy of a whole run: cut by lever, metered where the machine has counters, prices as they were."""

import csv
import json
import random
from dataclasses import replace
from decimal import Decimal

import pytest

import steelyard as sy
from steelyard.api import ledger_of
from steelyard.errors import RunUnreadable
from steelyard.money import EntryKind, Prices
from steelyard.money import energy as energy_module
from steelyard.search.events import read_events
from steelyard.search.folder import RunFolder
from steelyard.search.history import History
from steelyard.search.recount import entries_of
from steelyard.units import How

OLD = "date: 2019-05-01\ncore_hour: 0.02\nelectricity: {amount: 1.4, date: 2026-10-01}\ncountry: FRA\n"


def play(folder, prices=""):
    rng = random.Random(0)
    a, b = ([round(rng.gauss(0, 1), 4) for _ in range(160)] for _ in range(2))
    bought = ["yes" if x - y + rng.gauss(0, 1) > 0 else "no" for x, y in zip(a, b, strict=True)]
    given = {}
    if prices:
        folder.with_suffix(".yaml").write_text(prices)
        given["prices"] = folder.with_suffix(".yaml")
    frame = {"a": a, "b": b, "bought": bought}
    spec = sy.Spec(data=frame, target="bought", budget=sy.Budget(trials=2), **given)
    return sy.run(spec, out=folder, in_process=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return play(tmp_path_factory.mktemp("runs") / "usual")


@pytest.fixture(scope="module")
def paid(tmp_path_factory):
    """A run on a machine whose electricity is paid for, at a price of a core that is old."""
    return play(tmp_path_factory.mktemp("runs") / "paid", OLD)


def test_a_run_is_cut_by_lever_kind_and_trial_and_written_line_by_line(finished, tmp_path):
    total = finished.record.spent.money.amount
    for by in ("lever", "kind", "trial"):
        told = ledger_of(finished.folder, by)
        assert sum(Decimal(part["amount"]) for part in told["parts"]) == Decimal(told["total"]) == total
        assert sum(Decimal(part["shown"]) for part in told["parts"]) == Decimal(told["shown"])
    told = ledger_of(finished.folder, "lever", csv=tmp_path / "a.csv", parquet=tmp_path / "a.parquet")
    assert {part["lever"] for part in told["parts"]} == {t.lever for t in finished.record.trials} | {"the run itself"}
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["amount"]) for row in rows) == total
    assert any("kWh" in sentence for sentence in told["beside"])
    with pytest.raises(RunUnreadable):
        ledger_of(tmp_path / "nowhere")


def test_the_energy_of_a_run_is_a_range_that_costs_nothing_where_the_price_of_a_core_includes_it(finished):
    energy, carbon = (e for e in finished.record.entries if e.unit in {"kWh", "g CO2e"})
    assert (energy.kind, energy.amount.amount, energy.how) == (EntryKind.NOTE, 0, How.ESTIMATED)
    assert energy.low <= energy.quantity <= energy.high
    assert carbon.how is How.ASSUMED
    json.dumps(finished.report)


def test_electricity_that_the_user_pays_for_is_in_the_total_and_in_what_was_spent(paid):
    (energy,) = (e for e in paid.record.entries if e.kind is EntryKind.ENERGY)
    assert paid.record.spent.money.amount == sum(e.amount.amount for e in paid.record.entries)
    assert energy.unit_price.amount == Decimal("1.4")
    assert "energy" in paid.report["ledger"]["totals"]
    assert ledger_of(paid.folder)["parts"][1]["kind"] == "energy"


def test_a_machine_with_counters_is_metered_from_the_first_event_to_the_last(tmp_path, monkeypatch):
    place = tmp_path / "powercap" / "intel-rapl:0"
    place.mkdir(parents=True)
    (place / "name").write_text("package-0\n")
    (place / "max_energy_range_uj").write_text("100000000\n")
    (place / "energy_uj").write_text("0\n")
    reads = []

    def counted(path):
        reads.append(path)
        return {"max_energy_range_uj": 100_000_000}.get(path.name, 2_000_000 * len(reads))

    monkeypatch.setattr(energy_module, "POWERCAP", tmp_path / "powercap")
    monkeypatch.setattr(energy_module, "_read", counted)
    run = play(tmp_path / "run")
    events, _ = read_events(RunFolder(run.folder).events)
    joules = sum(event.facts["joules"] for event in events)
    history = History.of(events)
    assert joules > 0
    assert history.metered.joules == pytest.approx(joules)
    assert history.metered.seconds == pytest.approx(history.elapsed)
    (energy,) = (e for e in run.record.entries if e.unit == "kWh")
    assert float(energy.quantity) >= joules / 3.6e6 - 1e-6
    assert "RAPL" in energy.source


def test_prices_that_were_old_when_the_run_began_are_told_in_its_notes(finished, paid):
    (note,) = (note for note in paid.report["notes"] if "years old" in note)
    assert note.startswith("The price per core-hour")
    assert "years old" in paid.report["ledger"]["entries"][0]["source"]
    assert not any("years old" in note for note in finished.report["notes"])


def test_a_run_from_before_there_were_more_prices_is_told_as_then(finished):
    events, _ = read_events(RunFolder(finished.folder).events)
    kept = dict(events[0].facts["prices"])
    old = {"core_hour": kept["core_hour"], "label": None}
    machine = {"processor": "unknown"}
    events[0] = replace(events[0], facts={**events[0].facts, "prices": old, "machine": machine})
    history = History.of(events)
    entries = list(entries_of(history, Prices.from_json(old)))
    assert all(e.unit == "core-hour" or not e.unit for e in entries)
