"""Whole runs whose decisions are worth money: what is served decides as what was measured, to the cent."""

import json

import jsonschema
import numpy as np
import pytest

from steelyard import api
from steelyard.contracts import Context, Ending, Problem, Schema, Space, Task, Trial
from steelyard.errors import SteelyardError
from steelyard.recipe import Train
from steelyard.registry import learners
from steelyard.report.value import sentences
from steelyard.search.codec import trial_from_json, trial_to_json
from steelyard.search.scale import Scale
from steelyard.spec import Spec
from steelyard.units import Estimate

SCHEMA = json.loads((api.Path(api.__file__).parent / "report" / "schema.json").read_text())
CREDIT = {
    "matrix": {
        "bad": {"good": {"column": "loan", "times": -0.6}},
        "good": {"good": {"column": "loan", "times": 0.1, "plus": "-2 USD"}},
    },
    "review": "-1 USD",
}


def table(rows=500):
    random = np.random.default_rng(4)
    x, y = random.normal(size=(2, rows))
    chance = 1 / (1 + np.exp(1 - 2 * x - y))
    return {
        "x": x,
        "y": y,
        "loan": np.round(random.lognormal(4, 1, rows), 2),
        "class": np.where(random.random(rows) < chance, "bad", "good"),
        "sold": np.round(np.exp(2 + 0.5 * x + random.normal(0, 0.4, rows)), 1),
        "side": np.where(np.arange(rows) % 5 == 0, "test", "train"),
    }


def run(folder, target, value, *, ignore, only=("threshold", "calibrate", "quantile")):
    spec = Spec(
        name="worth",
        data=table(),
        target=target,
        value=value,
        columns={"ignore": [ignore]},
        split={"column": "side", "repeats": 1},
        budget={"trials": 5},
        learners={"only": ["constant", "linear"]},
        levers={"only": list(only)},
    )
    made = api.run(spec, out=folder / "run", in_process=True)
    return made, json.loads((made.folder / "report.json").read_text())


def held():
    rows = table()
    test = rows["side"] == "test"
    return {name: cells[test] for name, cells in rows.items()}


def test_money_by_the_row_is_what_the_bundle_decides_by(tmp_path):
    made, report = run(tmp_path, "class", {**CREDIT, "known": ["loan"]}, ignore="sold")
    rows = held()
    assert "loan" in {column.name for column in made.bundle.reads.columns}
    said = made.bundle.predict(rows)
    accepted, good = said == "good", rows["class"] == "good"
    money = np.where(good, 0.1 * rows["loan"] - 2, -0.6 * rows["loan"])[accepted].sum() / len(said)
    assert report["value"]["thousand"]["value"] == pytest.approx(1000 * money)
    assert report["value"]["rows"] == "test"
    decides = next(t["decides"] for t in report["value"]["trials"] if t["number"] == report["value"]["chosen"])
    bad, good = made.bundle.predict_proba(rows).T
    times = 1.0 if decides is None else decides["times"]
    worth = good * (0.1 * rows["loan"] - 2) - times * bad * 0.6 * rows["loan"]
    assert accepted.tolist() == (worth > 0).tolist()
    assert [made.bundle.answer_row({k: rows[k][i] for k in rows}).decided[0] for i in range(20)] == accepted[
        :20
    ].tolist()


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    return run(tmp_path_factory.mktemp("later"), "class", CREDIT, ignore="sold")


def test_money_that_is_known_later_is_counted_and_not_asked_for(later):
    (made, report), rows = later, held()
    assert "loan" not in {column.name for column in made.bundle.reads.columns}
    said = made.bundle.predict({"x": rows["x"], "y": rows["y"]})
    accepted, good = said == "good", rows["class"] == "good"
    money = np.where(good, 0.1 * rows["loan"] - 2, -0.6 * rows["loan"])[accepted].sum() / len(said)
    assert report["value"]["thousand"]["value"] == pytest.approx(1000 * money)
    figures = api.evaluate(made.folder, rows)["quality"]["value"]
    assert figures["value"] == pytest.approx(1000 * money)
    with pytest.raises(SteelyardError, match="the rows have no column 'loan', which holds the money at stake"):
        api.evaluate(made.folder, {name: cells for name, cells in rows.items() if name != "loan"})


def test_the_report_lays_the_money_open(later):
    _, report = later
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    found = report["value"]
    assert found["matrix"] == [[0.0, 0.0], [0.0, -2.0]]
    assert found["amounts"][0]["matrix"] == [[0.0, -0.6], [0.0, 0.1]]
    always = {each["decision"]: each["thousand"] for each in found["always"]}
    rows = table()
    known = rows["side"] == "train"
    good, loan = (rows["class"] == "good")[known], rows["loan"][known]
    assert always["bad"] == 0
    assert always["good"] == pytest.approx(1000 * np.where(good, 0.1 * loan - 2, -0.6 * loan).mean(), rel=1e-6)
    review = found["review"]
    assert review["thousand"] >= review["thousand_without"]
    assert {t["number"] for t in found["trials"]} == {
        t["number"] for t in report["trials"] if t["ending"] == "measured"
    }
    said = "\n".join(sentences(report))
    assert "A thousand decisions bring" in said
    assert "at stake in 'loan' is known only later" in said
    for trial in report["trials"]:
        if trial["ending"] == "measured":
            assert set(trial["outcomes"]) >= {"decided", "thresholds", "rates", "amounts", "perfect"}


def test_numbers_are_ordered_at_the_quantile_that_costs_least(tmp_path):
    made, report = run(tmp_path, "sold", {"over": "-1 USD", "under": "-4 USD"}, ignore="class")
    rows = held()
    excess = made.bundle.predict(rows) - rows["sold"]
    money = -(np.maximum(excess, 0) + 4 * np.maximum(-excess, 0)).mean()
    assert report["value"]["thousand"]["value"] == pytest.approx(1000 * money)
    chosen = next(t for t in report["value"]["trials"] if t["number"] == report["value"]["chosen"])
    assert chosen["decides"]["rule"] == "line"
    assert chosen["decides"]["low"] <= chosen["decides"]["plus"] <= chosen["decides"]["high"]
    plain = next(t for t in report["trials"] if t["title"] == "linear")
    assert chosen["thousand"]["value"] > plain["validation"]["value"]["value"]
    assert (excess > 0).mean() > 0.65
    assert "What is predicted is" in "\n".join(sentences(report))


def trial(number, learner, value, perfect):
    return Trial(
        number=number,
        recipe=Train(learner=learner),
        lever="start",
        ending=Ending.MEASURED,
        validation={"value": Estimate(value, value - 1, value + 1)},
        outcomes={"perfect": perfect},
    )


def test_money_is_scaled_by_what_right_decisions_would_bring_where_the_constant_model_brings_nothing():
    task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), value=((0, -1), (-5, 2)))
    trials = (trial(0, "constant", 0.0, 0.6), trial(1, "linear", 150.0, 0.6))
    made = Context(
        task=task,
        schema=Schema(()),
        rows=9,
        calibration_rows=9,
        parts=1,
        trials=trials,
        space=lambda name: Space(),
        learner=learners().get,
    )
    scale = Scale.of(made, trials)
    assert (scale.zero, scale.one) == (0.0, 600.0)
    assert scale.skill(150.0) == pytest.approx(0.25)


def test_outcomes_travel_with_the_trial():
    one = trial(3, "linear", 1.0, 0.6)
    assert trial_from_json(json.loads(json.dumps(trial_to_json(one)))) == one
