"""The block `returns` of real runs: its figures agree with each other and with what was measured."""

import io
import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

import steelyard as sy
from steelyard.api import open_run
from steelyard.money.returns import break_even
from steelyard.report.return_case import NoReturn, case_of
from steelyard.report.returns import returns, returns_of


def frame(rows, seed=0):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    bought = np.where(a + b + random.normal(scale=0.8, size=rows) > 0.6, "yes", "no")
    return {"a": a.tolist(), "b": b.tolist(), "past": bought[::-1].tolist(), "bought": bought.tolist()}


def run(folder, rows=600, **given):
    spec = {
        "data": frame(rows),
        "target": "bought",
        "positive": "yes",
        "columns": {"ignore": ["past"]},
        "learners": {"only": ["constant", "linear"]},
        "levers": {"only": []},
        "budget": {"trials": 2},
        "value": {"true_positive": 3, "false_positive": -2, "false_negative": -1},
        "traffic": {"mean_rps": 0.002, "peak_rps": 0.01},
        "prices": None,
    } | given
    return sy.run(sy.Spec(**{k: v for k, v in spec.items() if v is not None}), out=folder, in_process=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(
        tmp_path_factory.mktemp("returns") / "run",
        horizon_months=18,
        returns={
            "discount_rate": {"low": 0.04, "likely": 0.08, "high": 0.12},
            "build_cost": {"low": 1000, "likely": 2000, "high": 5000},
            "retraining": {"every_months": 5, "price": 40},
            "upkeep": {"mean": 30, "sd": 5},
            "labels": {"per_month": 100, "price": "0.05 USD"},
            "acted_on": {"low": 0.7, "likely": 0.9, "high": 1.0},
            "people": {"per_decision": 0.5, "accuracy": {"low": 0.9, "likely": 0.95, "high": 0.99}},
        },
    )


@pytest.fixture(scope="module")
def block(finished):
    return finished.report["returns"]


def test_the_block_keeps_the_schema_and_is_told_everywhere(finished, block):
    schema = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(finished.report, allow_nan=False)), schema)
    assert finished.returns() == block
    assert json.loads((finished.folder / "report.json").read_text())["returns"] == json.loads(json.dumps(block))


def test_the_page_and_the_terminal_say_it(finished, block):
    from rich.console import Console

    from steelyard.report import show, show_returns

    page = (finished.folder / "report.html").read_text()
    assert "What it returns" in page
    assert block["sentence"] in page
    console = Console(width=400, record=True, file=io.StringIO())
    show(finished.report, console)
    show_returns(block, console)
    text = console.export_text()
    assert block["sentence"] in text
    assert all(line in text for line in block["remarks"])
    assert "default: values as given" in text


def test_npv_is_the_sum_of_its_months_and_lies_in_its_interval(block):
    npv = block["npv"]
    assert npv["value"] == pytest.approx(sum(row["discounted"] for row in block["months"]), rel=1e-9)
    assert npv["low"] < npv["value"] < npv["high"]
    assert npv["how"] == "estimated"
    assert len(block["months"]) == 19


def test_the_value_of_a_month_is_traffic_times_what_a_decision_brings(finished, block):
    trials = {row["recipe"]: row["validation"]["value"]["value"] / 1000 for row in finished.report["trials"]}
    gain = trials[finished.report["decision"]["recipe"]] - trials["constant"]
    acted_on = case_of(finished.record).bands["acted_on"].centre
    assert block["month"]["value"] == pytest.approx(0.002 * 365.25 / 12 * 86_400 * acted_on * gain)
    serving = finished.report["decision"]["cost_per_million"] * 0.002 * 365.25 / 12 * 86_400 / 1e6
    assert block["month"]["serving"] == pytest.approx(serving)
    assert block["month"]["labels"] == pytest.approx(5)
    assert block["month"]["retraining"] == pytest.approx(8)


def test_break_even_recall_makes_the_npv_zero(finished, block):
    """Solve it again by the confusion matrix: what the rows would bring with that recall and nothing else changed."""
    record, case = finished.record, case_of(finished.record)
    found = block["break_even_quality"]
    assert found["metric"] == "recall"
    rate, centre = case.sample.rate, case.centre
    worth = rate.share[0] * (found["value"] * 3 + (1 - found["value"]) * -1) + rate.rest[0]
    gain = worth - case.sample.value["constant"][0]
    assert float(case.flows({**centre, "gain": gain}).npv) == pytest.approx(0, abs=1e-6)
    chosen = next(t for t in record.trials if t.number == record.decision.number)
    assert found["measured"] == pytest.approx(chosen.validation["recall"].value)
    assert "% recall" in found["sentence"]


def test_break_even_traffic_makes_the_npv_zero(finished, block):
    case = case_of(finished.record)
    assert block["break_even_rps"] > 0
    at = float(case.flows({**case.centre, "traffic": block["break_even_rps"]}).npv)
    assert at == pytest.approx(0, abs=0.01)
    assert break_even(lambda _: 1.0, 1.0) == 0.0


def test_every_bar_of_the_tornado_holds_the_npv(block):
    names = [bar["name"] for bar in block["tornado"]]
    assert {"value of a decision against doing nothing", "discount rate", "build cost", "upkeep"} <= set(names)
    assert not {name for name in names if "people" in name}
    for bar in block["tornado"]:
        ends = sorted((bar["npv_at_low"], bar["npv_at_high"]))
        assert ends[0] - 1e-6 <= block["npv"]["value"] <= ends[1] + 1e-6


def test_people_are_compared_by_their_price_and_their_errors(finished, block):
    against = {row["name"]: row["npv"]["value"] for row in block["against"]}
    assert against["nothing"] == block["npv"]["value"]
    case = case_of(finished.record)
    yes = float(case.sample.shares[0, 1])
    right = case.bands["people_accuracy"].centre
    each = yes * (right * 3 + (1 - right) * -1) + (1 - yes) * (1 - right) * -2
    decisions = 0.002 * 365.25 / 12 * 86_400
    acted = case.bands["acted_on"].centre
    month = decisions * (acted * (each - case.sample.value["constant"][0]) - 0.5)
    rate = case.bands["discount_rate"].centre
    theirs = month * sum((1 + rate) ** (-t / 12) for t in range(1, 19))
    assert against["people"] == pytest.approx(block["npv"]["value"] - theirs, rel=1e-9)


def test_nothing_is_assumed_silently(block):
    lines = {row["name"]: row for row in block["assumptions"]}
    assert lines["value scale"]["source"].startswith("default")
    assert lines["what the run spent"]["how"] == "measured"
    assert lines["build cost"]["range"] == "1,000 to 5,000 USD, most likely 2,000"
    assert {"horizon", "traffic", "serving", "value.true_positive", "people: accuracy", "the same on test"} <= set(
        lines
    )


def test_what_is_left_out_is_named(tmp_path):
    block = run(tmp_path / "run").report["returns"]
    assert block["remarks"][-1].startswith("Not given, and so counted as nothing: build cost, upkeep, retraining")
    assert block["discount_rate"] == 0
    assert block["npv"]["value"] == pytest.approx(block["months"][-1]["cumulative"])


def test_intervals_shrink_with_more_rows(tmp_path):
    def width(rows):
        npv = run(tmp_path / str(rows), rows=rows).report["returns"]["npv"]
        return npv["high"] - npv["low"]

    assert width(3200) < 0.7 * width(400)


def test_the_incumbent_is_an_alternative(tmp_path):
    done = run(tmp_path / "run", columns=None, incumbent={"column": "past", "per_call": "0.01 USD"})
    against = {row["name"]: row["npv"]["value"] for row in done.report["returns"]["against"]}
    values = {row["title"]: row["validation"]["value"]["value"] / 1000 for row in done.report["trials"]}
    decisions = 12 * 0.002 * 365.25 / 12 * 86_400
    theirs = decisions * (values["incumbent"] - values["constant"] - 0.01)
    assert against["incumbent"] == pytest.approx(against["nothing"] - theirs, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": None, "returns": {"upkeep": 1}}, "add `value:`"),
        ({"traffic": None}, "names no traffic"),
        ({"traffic": {"mean_rps": 0}}, "names no traffic"),
    ],
)
def test_without_values_or_traffic_there_is_no_block_and_one_sentence_why(tmp_path, change, said):
    done = run(tmp_path / "run", **change)
    assert done.report["returns"] is None
    with pytest.raises(NoReturn, match=said) as caught:
        done.returns()
    assert "\n" not in str(caught.value)


def test_a_run_whose_answers_are_gone_says_so(finished, tmp_path):
    import shutil

    shutil.copytree(finished.folder, tmp_path / "copy")
    for file in (tmp_path / "copy").glob("bundles/*/answers.npz"):
        file.unlink()
    record = open_run(tmp_path / "copy").record
    with pytest.raises(NoReturn, match="cannot be read"):
        returns_of(record)
    assert returns(record) is None


def test_other_currencies_stay_what_they_are(tmp_path):
    (tmp_path / "prices.yaml").write_text("core_hour: 0.04 EUR\n")
    value = {"true_positive": "3 EUR", "false_positive": "-2 EUR"}
    asked = {"build_cost": "100 EUR"}
    block = run(tmp_path / "run", prices=tmp_path / "prices.yaml", value=value, returns=asked).report["returns"]
    assert block["currency"] == block["npv"]["unit"] == "EUR"
    assert "EUR" in block["sentence"]
    with pytest.raises(sy.errors.SpecInvalid, match=r"returns\.build_cost \(EUR\)"):
        run(tmp_path / "other", value=None, returns=asked)
