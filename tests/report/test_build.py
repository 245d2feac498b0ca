"""The one structure: its names, its schema, and that its figures agree with each other."""

import json
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files

import jsonschema
import pytest

from steelyard.recipe import describe, from_json
from steelyard.report import VERSION, build


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", ["record", "infeasible", "empty", "hostile"])
def test_every_report_keeps_the_schema_and_is_plain_json(validator, kind, request):
    report = build(request.getfixturevalue(kind))
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again == report
    validator.validate(again)


def test_the_schema_refuses_what_is_not_a_report(validator, report):
    for broken in (
        {**report, "version": 2},
        {**report, "extra": 1},
        {k: v for k, v in report.items() if k != "ledger"},
    ):
        assert not validator.is_valid(broken)
    trial = {**report["trials"][1], "surprise": 1}
    assert not validator.is_valid({**report, "trials": [trial]})


def test_the_names_of_the_design_are_there(report):
    names = {"version", "name", "fingerprint", "ending", "spent", "decision", "frontier", "trials", "checks", "ledger"}
    assert names <= report.keys()
    assert report["version"] == VERSION == 1
    assert {"seconds", "money", "labels"} <= report["spent"].keys()
    decision = report["decision"]
    asked = {"feasible", "recipe", "reasons", "bundle", "validation", "test", "latency_ms", "size_bytes"}
    assert asked | {"cost_per_million"} <= decision.keys()
    assert {"value", "low", "high"} <= decision["test"]["roc_auc"].keys()
    assert decision["latency_ms"].keys() == {"p50", "p95", "p99"}


def test_trials_and_frontier_carry_no_test_figures(report):
    assert all("test" not in row for row in (*report["trials"], *report["frontier"]))


def test_the_decision_is_one_of_the_trials_and_the_frontier_is_made_of_them(report):
    (chosen,) = (row for row in report["trials"] if row["chosen"])
    assert chosen["number"] == report["decision"]["number"]
    assert all(row in report["trials"] for row in report["frontier"])


def test_every_measured_trial_is_chosen_rejected_or_passed_over_with_a_reason(report):
    for row in report["trials"]:
        said = [row["chosen"], row["rejected"] is not None, row["passed_over"] is not None]
        assert sum(said) == (row["ending"] == "measured")


def test_the_shrunk_model_that_gained_nothing_is_rejected_with_the_reason(report):
    assert "Slower and not smaller than its parent, trial 1" in report["trials"][6]["rejected"]


def test_the_ledger_adds_up_to_the_last_digit(report):
    ledger = json.loads(json.dumps(report["ledger"]), parse_float=Decimal, parse_int=Decimal)
    lines = sum(Decimal(e["amount"].split()[0]) for e in ledger["entries"])
    assert lines == ledger["total"] == sum(ledger["totals"].values())
    assert report["spent"]["money"] == report["ledger"]["total"]


def test_what_trials_cost_and_what_the_run_cost_besides_is_the_total(report):
    besides = sum(Decimal(e["amount"].split()[0]) for e in report["ledger"]["entries"] if e["trial"] is None)
    trials = sum(Decimal(str(row["cost"])) for row in report["trials"])
    assert besides + trials == Decimal(str(report["ledger"]["total"]))


def test_a_recipe_is_there_as_words_and_as_a_tree(report):
    for row in report["trials"]:
        assert describe(from_json(row["recipe_tree"])) == row["recipe"]
    assert len({row["title"] for row in report["trials"]}) == len(report["trials"])


def test_a_run_without_a_final_bundle_shows_what_is_known_of_the_chosen_trial(validator, record):
    report = build(replace(record, final=None))
    validator.validate(report)
    assert report["decision"]["bundle"] is None
    assert report["decision"]["test"] == {}
    assert report["decision"]["latency_ms"]["p95"] > 0


def test_nothing_measured_is_a_report_without_a_decision(empty):
    report = build(empty)
    assert report["decision"] is None
    assert report["frontier"] == []


def test_targets_that_are_missed_are_named(infeasible):
    decision = build(infeasible)["decision"]
    assert decision["feasible"] is False
    assert decision["tightest"] in {t["name"] for t in decision["targets"] if not t["met"]}
    assert [t["met"] for t in decision["targets"]] == [False, False, False]


def test_the_reasons_and_the_tables_call_a_candidate_by_the_same_name(record):
    failed = replace(record.trials[-1], recipe=record.trials[1].recipe)
    report = build(replace(record, trials=(*record.trials[:-1], failed)))
    titles = {row["number"]: row["title"] for row in report["trials"]}
    assert titles[1] == report["decision"]["title"] == "linear"
    assert titles[9] == "linear (trial 9)"
    assert any(reason.endswith("take linear.") for reason in report["decision"]["reasons"])
