"""Advice on whole runs: it measures what was agreed, leaves the run alone, keeps what it found, and says one thing."""

import json
import time

import numpy as np
import pytest

import steelyard as sy
from steelyard.advise import Kind, MinutesInvalid, advise, describe
from steelyard.advise.beyond import people_action
from steelyard.api import open_run
from steelyard.errors import RunUnreadable, SpecInvalid
from steelyard.report import build, page
from steelyard.search.folder import RunFolder

LABEL = "label: 0.01 USD\n"


def kinds(advice):
    return {action.kind for action in advice.actions}


def of(advice, kind):
    return next(action for action in advice.actions if action.kind is kind)


def left(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_run_itself_is_left_as_it_was(finished):
    before = left(finished)
    advise(finished, minutes=0.1)
    after = left(finished)
    assert {name: content for name, content in after.items() if name not in {"advice.json", ".lock"}} == {
        name: content for name, content in before.items() if name != ".lock"
    }


def test_labels_tuning_and_people_are_offered_in_money_with_break_even_prices(finished):
    advice = advise(finished, minutes=0.2)
    assert advice.priced
    assert {Kind.LABELS, Kind.TUNE, Kind.PEOPLE} <= kinds(advice)
    labels = of(advice, Kind.LABELS)
    assert labels.cost is None
    assert labels.break_even.unit == "USD per label"
    assert labels.gain.unit == "USD over the horizon"
    assert len({point["rows"] for point in advice.curve["points"]}) >= 4
    assert advice.next is None or advice.actions[advice.next].gain.value > advice.actions[advice.next].cost.value
    last = describe(advice).strip().splitlines()[-1]
    assert last.startswith("Next: " if advice.next is not None else "Stop: ")


def test_a_price_of_a_label_makes_it_an_action_like_any_other(finished, tmp_path):
    (tmp_path / "prices.yaml").write_text(LABEL)
    advice = advise(finished, minutes=0.2, prices=tmp_path / "prices.yaml")
    labels = of(advice, Kind.LABELS)
    count = int(labels.name.split()[1].replace(",", ""))
    assert labels.cost.value == pytest.approx(0.01 * count)
    assert labels.per_dollar.value == pytest.approx(labels.gain.value / labels.cost.value)
    people = of(advice, Kind.PEOPLE)
    assert people.cost.value == pytest.approx(0.05 * 0.01 * 0.01 * 365.25 * 86_400, rel=1e-6)


def test_the_second_call_measures_only_what_is_missing(finished):
    first = advise(finished, minutes=0.2)
    again = advise(finished, minutes=0.2)
    assert first.seconds > 0
    assert again.seconds < 0.2 * first.seconds
    assert again.curve["points"] == first.curve["points"]
    none = advise(finished, minutes=0)
    assert none.seconds == 0
    assert none.curve["points"] == first.curve["points"]


def test_no_minutes_measure_nothing_and_say_what_is_not_known(finished):
    advice = advise(finished, minutes=0)
    assert advice.seconds == 0
    assert advice.curve is None
    assert any("What more labels would bring is not known" in note for note in advice.notes)
    assert Kind.LABELS not in kinds(advice)


def test_measuring_ends_with_its_minutes(finished):
    began = time.monotonic()
    advise(finished, minutes=0.02)
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("minutes", [-1.0, float("nan"), float("inf")])
def test_minutes_that_are_no_time_are_one_sentence(finished, minutes):
    with pytest.raises(MinutesInvalid, match="minutes must be a number of 0 or more"):
        advise(finished, minutes=minutes)


def test_a_run_that_is_being_written_is_not_disturbed(finished):
    with RunFolder.existing(finished).locked():
        advice = advise(finished, minutes=0.2)
    assert advice.seconds == 0
    assert any("Another process is writing this run" in note for note in advice.notes)


def test_a_folder_without_a_run_and_prices_in_another_currency_are_said(finished, tmp_path):
    with pytest.raises(RunUnreadable):
        advise(tmp_path, minutes=0)
    (tmp_path / "prices.yaml").write_text("core_hour: 0.04 EUR\nlabel: 0.05 EUR\n")
    with pytest.raises(SpecInvalid, match="EUR"):
        advise(finished, minutes=0, prices=tmp_path / "prices.yaml")


def test_a_damaged_advice_file_is_made_anew(finished):
    (finished / "advice.json").write_text('{"measured": 3')
    assert open_run(finished).report["advice"] is None
    assert advise(finished, minutes=0).actions
    assert open_run(finished).report["advice"] is not None


def test_the_report_holds_the_advice_until_the_run_goes_on(finished):
    assert open_run(finished).report["advice"] is None
    advice = advise(finished, minutes=0)
    report = open_run(finished).report
    block = json.loads(json.dumps(report["advice"], allow_nan=False))
    assert block == json.loads(json.dumps(advice.to_json()))
    assert "Where the next dollar goes" in page(report)
    kept = json.loads((finished / "advice.json").read_text())
    (finished / "advice.json").write_text(json.dumps(kept | {"trials": kept["trials"] + 1}))
    assert build(open_run(finished).record)["advice"] is None


def test_numbers_are_advised_on_in_the_metric_and_people_have_no_hardest_rows(begun, tmp_path):
    folder = begun(tmp_path / "run", "amount", task="regression")
    advice = sy.api.open_run(folder).advice(minutes=0.2)
    assert not advice.priced
    assert of(advice, Kind.LABELS).gain.unit == "rmse"
    assert Kind.PEOPLE not in kinds(advice)
    assert all(point["score"] > 0 for point in advice.curve["points"])
    assert advice.curve["ahead"][-1]["value"] < advice.curve["points"][0]["score"]


def test_several_classes_and_text_are_advised_on(begun, tmp_path):
    folder = begun(tmp_path / "kinds", "kind")
    assert of(advise(folder, minutes=0.2), Kind.LABELS).gain.value > 0
    text = begun(
        tmp_path / "text", "bought", keep=("note",), only=("constant", "tfidf-linear"), columns={"text": ["note"]}
    )
    assert Kind.LABELS in kinds(advise(text, minutes=0.2))


def test_a_run_of_the_constant_model_alone_says_what_to_train(begun, tmp_path):
    folder = begun(tmp_path / "run", "bought", trials=1)
    advice = advise(folder, minutes=0.1)
    assert advice.curve is None
    assert Kind.LEARNER in kinds(advice)


def test_people_on_the_hardest_rows_bring_exactly_the_errors_they_mend(made):
    opened = open_run(made)
    dataset, trial = opened.dataset, opened.record.trials[1]
    from steelyard.advise.actions import Yard
    from steelyard.search.spending import Free
    from steelyard.search.store import Store

    answer = Store(made).answers(trial.recipe)
    action = people_action(dataset, answer, Yard(worth=Free(), aim="x", way=1.0), None)
    held = dataset.partition.validation
    own = answer.scores[np.searchsorted(dataset.partition.scored, held)]
    target, value = dataset.rows.target[held], np.array(dataset.task.value)
    worth = own @ value
    hard = np.argsort(np.abs(worth[:, 0] - worth[:, 1]), kind="stable")[: round(0.05 * len(held))]
    better = value[target, target] - value[target, worth.argmax(axis=1)]
    assert action.gain.value == pytest.approx(1000 * better[hard].sum() / len(held), rel=1e-6)
