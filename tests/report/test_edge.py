"""The block `edge` of the report: three ways side by side, who wins, where that turns, and what it rests on."""

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from steelyard.devices import Devices, Footing
from steelyard.errors import SpecInvalid
from steelyard.report.edge import Wanted, edge
from steelyard.report.edge_section import edge_section
from steelyard.report.edge_words import lines
from steelyard.spec import EdgePart, Serving, Traffic
from steelyard.units import Estimate, Money

ROWS = Devices.load().rows
FOOTING = Footing(device=ROWS["raspberry-pi-4"], server=ROWS["server-core"], here=ROWS["server-core"].reference)
MIXED = Estimate(0.79, 0.74, 0.83).to_json()
KEPT = {
    "edge": 1,
    "server": 3,
    "front": 1,
    "why": "",
    "rule": {"rule": "cascade", "measure": "margin", "at": 0.3},
    "escalated": {"share": 0.2, "low": 0.17, "high": 0.23, "rows": 800},
    "quality": {way: {"roc_auc": MIXED} for way in ("front", "server", "cascade")},
}


@pytest.fixture
def at_the_edge(record):
    def make(kept=KEPT, serving=None, **part):
        given = {"device": "raspberry-pi-4", "round_trip_ms": {"mean": 40, "p95": 90}, **part}
        traffic = Traffic(mean_rps=20, peak_rps=60)
        spec = record.spec.model_copy(
            update={"edge": EdgePart(**given), "serving": serving or Serving(latency_p95_ms=60, traffic=traffic)}
        )
        trials = tuple(t if t.weight is None else replace(t, weight=FOOTING.weight(t.weight)) for t in record.trials)
        final = replace(record.final, weight=FOOTING.weight(record.final.weight))
        return replace(record, spec=spec, escalated=kept, footing=FOOTING, trials=trials, final=final)

    return make


def test_the_block_keeps_the_schema(at_the_edge):
    found = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    part = {"$ref": "#/$defs/edge", "$defs": found["$defs"], "$schema": found["$schema"]}
    for record in (at_the_edge(), at_the_edge(round_trip_ms=None)):
        jsonschema.Draft202012Validator(part).validate(json.loads(json.dumps(edge(record), allow_nan=False)))


def test_three_ways_are_compared_and_the_network_is_in_what_the_user_sees(at_the_edge):
    block = edge(at_the_edge())
    alone, server, both = (next(r for r in block["ways"] if r["way"] == w) for w in ("edge", "server", "cascade"))
    assert server["p95_ms"] > 90
    assert alone["p95_ms"] < 60
    assert alone["p50_ms"] < both["p95_ms"]
    assert both["p95_ms"] == pytest.approx(server["p95_ms"], rel=0.5)
    assert both["reaches_server"] == 0.2
    assert alone["device_p95"]["how"] == "estimated"
    assert server["device_p95"] is None
    assert alone["costs"]["server"] == 0
    assert both["costs"]["egress"] == pytest.approx(0.2 * server["costs"]["egress"])
    assert 0 < both["costs"]["server"] <= server["costs"]["server"]


def test_the_winner_turns_where_the_round_trip_takes_the_latency_target(at_the_edge):
    record = at_the_edge(round_trip_ms={"low": 19, "likely": 20, "high": 21})
    strict = record.spec.quality.model_copy(update={"tolerance": 0.0})
    block = edge(replace(record, spec=record.spec.model_copy(update={"quality": strict})))
    last = block["by_round_trip"][-1]
    assert block["winner"] != "edge"
    assert last["above"] == "edge"
    assert 50 < last["at"] < 60
    assert f"above {last['at']:.2f} ms, the device alone" in block["sentence"]


def test_requests_without_a_server_keep_the_answer_of_the_device(at_the_edge):
    here, away = edge(at_the_edge()), edge(at_the_edge(offline=0.5))
    ways = [{r["way"]: r for r in block["ways"]} for block in (here, away)]
    assert ways[1]["cascade"]["reaches_server"] == pytest.approx(0.1)
    assert ways[1]["server"]["unanswered"] == 0.5
    assert ways[1]["cascade"]["unanswered"] == 0
    assert any("find no server" in note for note in away["notes"])


def test_devices_that_are_paid_for_count_on_both_ways_that_use_them(at_the_edge):
    block = edge(at_the_edge(fleet=100, price_per_device="0.10 USD"))
    costs = {row["way"]: row["costs"]["devices"] for row in block["ways"]}
    assert costs == {"edge": 10.0, "server": 0.0, "cascade": 10.0}


def test_energy_is_that_of_the_board_while_it_answers(at_the_edge):
    block = edge(at_the_edge())
    row = next(r for r in block["ways"] if r["way"] == "edge")
    busy = at_the_edge().final.weight.there
    ms = (busy["mean"] if "mean" in busy else busy["p50"]).value
    kwh = 20 * 3600 * 730 * ms / 1000 * 7.2 / 3.6e6
    assert row["costs"]["energy"] == pytest.approx(kwh * 0.1107, rel=1e-6)


def test_a_round_trip_that_is_missing_is_asked_for(at_the_edge):
    block = edge(at_the_edge(round_trip_ms=None))
    assert (block["ways"], block["winner"]) == ([], None)
    assert "add edge.round_trip_ms" in block["sentence"]
    assert "--round-trip-ms 60" in block["sentence"]


def test_traffic_that_is_missing_is_asked_for(at_the_edge):
    block = edge(at_the_edge(serving=Serving()))
    assert "add serving.traffic" in block["sentence"]
    assert edge(at_the_edge(serving=Serving()), Wanted(rps=5.0))["mean_rps"] == 5.0


def test_what_is_asked_counts_before_the_spec(at_the_edge):
    block = edge(at_the_edge(), Wanted(round_trip_ms=5.0, target_ms=500.0))
    assert block["round_trip_ms"] == {"p50": 5.0, "p95": 5.0}
    assert block["target_ms"] == 500.0
    with pytest.raises(SpecInvalid, match="needs the mean beside it"):
        edge(at_the_edge(), Wanted(round_trip_p95_ms=5.0))


def test_without_an_escalation_the_reason_is_told(at_the_edge):
    kept = {"edge": 1, "server": 3, "front": None, "why": "nothing can be promised about roc_auc"}
    block = edge(at_the_edge(kept=kept))
    assert [row["way"] for row in block["ways"]] == ["edge", "server"]
    assert any("nothing can be promised" in note for note in block["notes"])


def test_a_run_without_a_device_has_no_block(record):
    assert edge(record) is None


def test_the_terminal_and_the_page_show_every_way(at_the_edge):
    block = edge(at_the_edge())
    text = "\n".join(lines(block))
    page = str(edge_section({"edge": block}))
    for words in ("the device alone", "a server alone", "the device first"):
        assert words in text
        assert words in page
    assert "20.0% (17.0% to 23.0%)" in text
    assert "estimated" in page


def test_prices_of_another_currency_are_not_added_up(at_the_edge):
    record = at_the_edge()
    core = replace(record.prices.core_hour, amount=Money.parse("0.05 CHF"))
    found = edge(replace(record, prices=replace(record.prices, core_hour=core)))
    assert all(row["costs"]["egress"] == 0 for row in found["ways"])
    assert any(note.startswith("Egress is not counted") for note in found["notes"])
