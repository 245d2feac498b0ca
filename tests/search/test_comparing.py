"""What is kept for deciding again is what the rows say: shares of outcomes, their spread, calibration."""

import json

import numpy as np
import pytest

from steelyard import api
from steelyard.contracts import Answer, Problem, Task
from steelyard.measure import paired
from steelyard.report import build
from steelyard.search.compared import Compared
from steelyard.search.finish import Pairs
from steelyard.search.outcomes import BINARY, Outcomes, names_of, prices_of
from steelyard.search.store import Store
from steelyard.spec import Budget, LearnersPart, Spec, Value

pytestmark = pytest.mark.slow

WORTH = (0.0, -50.0, 0.0, -1000.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    spec = Spec(
        data="sklearn:breast_cancer",
        target="diagnosis",
        positive="malignant",
        value=Value(**{n: f"{v} USD" for n, v in zip(BINARY, WORTH, strict=True)}),
        learners=LearnersPart(only=("constant", "linear", "lightgbm")),
        budget=Budget(trials=4),
    )
    return api.run(spec, out=tmp_path_factory.mktemp("run") / "run", in_process=True)


def priced(mean, triangle):
    worth, full = np.asarray(WORTH), np.zeros((4, 4))
    full[np.triu_indices(4)] = triangle
    full += np.triu(full, 1).T
    return 1000 * worth @ np.asarray(mean), 1000 * np.sqrt(worth @ full @ worth)


def pairs_of(run):
    recipes = {t.number: t.recipe for t in run.record.trials}
    return Pairs(Store(run.folder).dataset(), Store(run.folder), recipes)


def test_outcomes_at_the_run_s_own_values_are_its_money_and_spread_as_it_does_on_resamples(run):
    compared, trials, pairs = run.record.compared, {t.number: t for t in run.record.trials}, pairs_of(run)
    assert compared.names == BINARY
    assert len(compared.outcomes) >= 3
    for number, (mean, triangle) in compared.outcomes.items():
        value, deviation = priced(mean, triangle)
        kept = trials[number].validation["value"]
        assert value == pytest.approx(kept.value, rel=1e-6)
        assert deviation == pytest.approx(pairs.joint([number])[:, 0].std(), rel=0.15)
        assert sum(mean) == pytest.approx(1)


def test_spreads_of_pairs_are_about_as_wide_as_their_bootstrap(run):
    compared, pairs, wide = run.record.compared, pairs_of(run), 0
    for (a, b), triangle in compared.spreads.items():
        spread, (_, deviation) = np.diff(pairs.joint([a, b]), axis=1).std(), priced(np.zeros(4), triangle)
        if spread > 0:
            assert deviation == pytest.approx(spread, rel=0.15)
            wide += 1
    assert wide


def test_pairs_that_the_decision_asked_for_are_kept_and_read_back(run):
    compared = run.record.compared
    assert compared.pairs
    assert Compared.from_json(json.loads(json.dumps(compared.to_json()))) == compared
    assert compared.baseline == next(t.number for t in run.record.trials if t.recipe == run.record.trials[0].recipe)


def test_confusion_counts_every_validation_row_once(run):
    judged, record = run.record.compared.judged, run.record
    assert judged.rows == record.row_counts["validation"] == sum(map(sum, judged.confusion))
    assert sum(count for *_, count in judged.bins) == judged.rows
    for said, came, low, high, _ in judged.bins:
        assert 0 <= said <= 1
        assert low <= came <= high
    shares = dict(zip(BINARY, record.compared.outcomes[record.decision.number][0], strict=True))
    yes = record.task.classes.index("malignant")
    assert judged.confusion[yes][yes] / judged.rows == pytest.approx(shares["true_positive"])


def test_the_block_of_the_report_decides_by_the_values_of_the_run(run):
    block = build(run.record)["deciding"]
    assert block["wishes"]["values"] == list(WORTH)
    assert block["aim"] == "value"


def test_groups_of_rows_that_go_together_widen_the_spread():
    task = Task(problem=Problem.REGRESSION, target="y", aim="mae")
    target, groups = np.zeros(40), np.repeat(np.arange(4), 10)
    answer = Answer(np.repeat([-1.0, 1.0, 2.0, -3.0], 10)[:, None], np.repeat([-1.0, 1.0, 2.0, -3.0], 10))

    def spread(groups):
        rows = Outcomes(task, np.ones(40), groups, target, np.arange(40))
        return rows.moments(rows.of_rows(answer))

    (mean, apart), (_, together) = spread(np.arange(40)), spread(groups)
    assert mean == [0.75, 1.0]
    assert np.asarray(together) == pytest.approx(10 * np.asarray(apart))
    found = paired("mae", task, target, answer, Answer(np.zeros((40, 1)), np.zeros(40)), groups=groups)
    assert found.value == pytest.approx(-sum(mean))


def test_values_that_outcomes_do_not_say_are_not_put_into_fields():
    three = Task(problem=Problem.MULTICLASS, target="y", aim="value", classes=("a", "b", "c"))
    assert names_of(three) == ("right", "wrong")
    right = ((5.0, -1.0, -1.0), (-1.0, 5.0, -1.0), (-1.0, -1.0, 5.0))
    assert prices_of(Task(**{**_fields(three), "value": right})) == (5.0, -1.0)
    own = ((5.0, -1.0, -2.0), *right[1:])
    assert prices_of(Task(**{**_fields(three), "value": own})) is None
    assert prices_of(three) is None


def _fields(task):
    return {name: getattr(task, name) for name in ("problem", "target", "aim", "classes")}
