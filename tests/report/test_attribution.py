"""What levers earned, in the report: the sums agree with the run, to the last digit."""

import json
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from steelyard.report import attribution as told
from steelyard.report import paid
from steelyard.report.attribution import attribution


class Answers:
    """Stands for the run's answers: each trial's figure with a spread of its own."""

    def __init__(self, _, store, recipes):
        self.value = store

    def joint(self, numbers):
        spread = np.random.default_rng(0).normal(size=(400, len(numbers)))
        return np.array([self.value[n] for n in numbers]) + 0.01 * spread


@pytest.fixture
def record(record, tmp_path, monkeypatch):
    (tmp_path / "data.json").write_text("{}")
    value = {t.number: t.validation["roc_auc"].value for t in record.trials if t.validation}
    monkeypatch.setattr(told, "Pairs", Answers)
    monkeypatch.setattr(told, "Store", lambda _: type("Kept", (dict,), {"dataset": lambda _: None})(value))
    return replace(record, folder=tmp_path)


def exact(values):
    return sum((Decimal(str(v)) for v in values), start=Decimal(0))


def test_the_levers_of_the_path_add_up_to_the_total_and_their_cost_to_the_ledger(record):
    block = attribution(record)
    taken = [row for row in block["levers"] if row["on_path"]]
    for name, total in block["total"].items():
        shares = [row[name] if isinstance(row[name], int) else row[name]["value"] for row in taken]
        assert exact(shares) == Decimal(str(total)), name
    spent = exact(row["spent"] for row in block["levers"]) + Decimal(str(block["rest"]))
    assert spent == sum(e.amount.amount for e in record.entries)
    trial = {t.number: t for t in record.trials}
    first, last = (trial[n].validation["roc_auc"].value for n in (block["path"][0], block["path"][-1]))
    assert block["total"]["quality"] == pytest.approx(last - first)
    assert block["path"][-1] == record.decision.number


def test_every_lever_that_was_tried_has_its_line_with_all_its_tries(record):
    block = attribution(record)
    rows = {row["lever"]: row for row in block["levers"]}
    assert {w for name in rows for w in name.split(" + ")} == {t.lever for t in record.trials}
    assert rows["tune"]["tried"] == sum(t.lever == "tune" for t in record.trials)
    low, high = (rows["tune"]["quality"][end] for end in ("low", "high"))
    assert low < rows["tune"]["quality"]["value"] < high


def test_the_block_keeps_the_schema_and_prints(record):
    schema = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    block = json.loads(json.dumps(attribution(record)))
    jsonschema.validate(block, {"$defs": schema["$defs"], "$ref": "#/$defs/attribution"})
    console = Console(width=100, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as shown:
        paid.show_paid(block, console)
    assert "What each lever cost and earned" in shown.get()
    assert all(row["sentence"].split(";")[0][:20] in shown.get() for row in block["levers"])
    narrow = Console(width=80, force_terminal=False)
    with narrow.capture() as shown:
        paid.show_paid(block, narrow)
    assert all(f" {row['lever']}{'' if row['on_path'] else '*'} " in shown.get() for row in block["levers"])


def test_nothing_is_told_where_nothing_was_decided_or_the_answers_are_gone(record, tmp_path):
    assert attribution(replace(record, decision=None)) is None
    assert attribution(replace(record, folder=tmp_path / "moved")) is None
