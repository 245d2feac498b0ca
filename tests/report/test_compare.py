"""Runs side by side: the figures are theirs, and what cannot be compared is not, and says why."""

from dataclasses import replace
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from steelyard import api
from steelyard.errors import RunUnreadable
from steelyard.report import compare, show_compared
from steelyard.search.finish import Pairs
from steelyard.search.store import Store
from steelyard.spec import Budget, LearnersPart, Spec
from steelyard.units import Money


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two real runs on the same rows, of other learners."""
    folder = tmp_path_factory.mktemp("two")
    spec = Spec(data="sklearn:breast_cancer", target="diagnosis", positive="malignant", budget=Budget(trials=2))
    return [
        api.run(
            spec.model_copy(update={"learners": LearnersPart(only=("constant", *names))}),
            out=folder / str(place),
            in_process=True,
        ).record
        for place, names in enumerate((("linear",), ()))
    ]


@pytest.mark.slow
def test_models_of_the_same_rows_are_compared_on_them(two):
    found = compare(two)
    pair = found["paired"][0]
    assert pair["metric"] == two[0].task.aim
    assert pair["difference"]["low"] > 0.2
    assert "is better than" in pair["sentence"]
    back = compare(two[::-1])["paired"][0]["difference"]
    assert back["value"] == pytest.approx(-pair["difference"]["value"])
    constant = next(t for t in two[0].trials if t.recipe.learner == "constant")
    pairs = Pairs(Store(two[0].folder).dataset(), Store(two[0].folder), {t.number: t.recipe for t in two[0].trials})
    expected = pairs(two[0].decision.number, constant.number)
    assert pair["difference"]["value"] == pytest.approx(expected.value)


def test_what_differs_is_said_and_other_rows_are_not_paired(record):
    others = {
        "other data or another split": replace(record, fingerprint="0" * 16),
        "their qualities mean different things": replace(record, task=replace(record.task, target="other")),
        "was chosen by accuracy": replace(record, task=replace(record.task, aim="accuracy")),
        "not of the same prices": replace(
            record,
            prices=replace(
                record.prices, core_hour=replace(record.prices.core_hour, amount=Money(Decimal("0.5"), "USD"))
            ),
        ),
        "different machines": replace(record, machine={"cpu": "other"}),
    }
    for words, other in others.items():
        found = compare([record, other])
        assert any(words in sentence for sentence in found["differs"]), words
        assert found["paired"][0]["difference"] is None
    assert compare([record, record])["differs"] == []


def test_runs_whose_answers_are_gone_or_that_decided_nothing_say_so(record, empty):
    assert "not at hand" in compare([record, record])["paired"][0]["sentence"]
    assert "decided nothing" in compare([record, empty])["paired"][0]["sentence"]


def test_one_run_is_nothing_to_compare(record):
    with pytest.raises(RunUnreadable, match="name at least two"):
        compare([record])


def test_the_screen_shows_the_figures_of_both(record, infeasible):
    out = StringIO()
    show_compared(compare([record, infeasible]), Console(file=out, width=160))
    shown = out.getvalue()
    for words in ("0.801", "yes", "no", "9.4 kB", "expect other traffic"):
        assert words in shown
