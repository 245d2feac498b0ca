"""`steelyard prices` and `steelyard ledger`: lists with ages, cuts that add up, one object with --json."""

import csv
import json
from decimal import Decimal

import pytest


def told(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_prices_in_force_are_listed_with_their_age(cli, tmp_path):
    (tmp_path / "old.yaml").write_text("date: 2019-01-02\ncore_hour: 0.05\nlabel: 0.1\n")
    found = told(cli.call("prices", "--prices", "old.yaml", "--json", cwd=tmp_path))
    assert found.keys() == {"currency", "read", "rows", "old"}
    assert [row["what"] for row in found["rows"]] == ["core-hour", "label"]
    assert all(row["age_days"] > 2800 for row in found["rows"])
    assert len(found["old"]) == 2
    shown = cli.call("prices", "--prices", "old.yaml", cwd=tmp_path)
    assert "years" in shown.out


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("machines", "aws/m7i.large/us-east-1"),
        ("functions", "aws/lambda/us-east-1"),
        ("carbon", "FRA"),
        ("electricity", "DEU household"),
        ("labels", "image classification"),
        ("people", "USA data scientist"),
        ("storage", "gcp standard"),
        ("egress", "gcp internet"),
    ],
)
def test_a_part_of_the_catalogue_is_listed_row_by_row(part, key):
    from steelyard.api import price_list

    rows = {row["what"]: row for row in price_list(None, part)["rows"]}
    assert rows[key]["source"]
    assert rows[key]["age_days"] is not None


def test_two_lists_at_once_are_a_mistake_of_usage(cli, tmp_path):
    ended = cli.call("prices", "--machines", "--carbon", cwd=tmp_path)
    assert ended.code == 2
    assert "one list at a time" in ended.err


def test_a_file_that_cannot_be_used_is_refused_with_all_of_its_problems(cli, tmp_path):
    (tmp_path / "bad.yaml").write_text("label: 1 EUR\n")
    ended = cli.call("prices", "--prices", "bad.yaml", cwd=tmp_path)
    ended.refused(10, "label is in EUR", "rates: {EUR:")


def test_the_ledger_of_a_run_adds_up_and_is_written_to_files(cli, finished, tmp_path):
    run = finished / "run"
    found = told(cli.call("ledger", run, "--by", "lever", "--csv", "a.csv", "--json", cwd=tmp_path))
    assert sum(Decimal(part["amount"]) for part in found["parts"]) == Decimal(found["total"])
    with (tmp_path / "a.csv").open() as file:
        assert sum(Decimal(row["amount"]) for row in csv.DictReader(file)) == Decimal(found["total"])
    shown = cli.call("ledger", run, "--by", "trial", cwd=tmp_path)
    assert "total" in shown.out
    assert found["shown"] in shown.out or "trial 0" in shown.out


def test_what_is_no_run_and_what_cannot_be_written_is_one_sentence(cli, finished, tmp_path):
    cli.call("ledger", tmp_path, cwd=tmp_path).refused(32, "not a run folder")
    cli.call("ledger", finished / "run", "--csv", "none/a.csv", cwd=tmp_path).refused(31, "name another file")
    assert cli.call("ledger", finished / "run", "--by", "colour", cwd=tmp_path).code == 2


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("core_hour: -0.05\n", "core_hour: must be 0 or more"),
        ("core_hour: 0.05 CHF\n", "the prices in force are in CHF"),
    ],
)
def test_prices_are_checked_with_the_data(cli, tmp_path, prices, said):
    (tmp_path / "own.yaml").write_text(prices)
    (tmp_path / "spec.yaml").write_text(
        "data: sklearn:breast_cancer\ntarget: target\nprices: own.yaml\nvalue: {right: 1 USD, wrong: -2 USD}\n"
    )
    cli.call("check", "spec.yaml", cwd=tmp_path).refused(10, said)
