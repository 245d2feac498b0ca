"""Combinations of combinations, made as a run makes them: fitted, cross-fitted, joined, read back, refitted."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from steelyard.bundle import load as load_bundle
from steelyard.contracts import Ending, Errand, Job
from steelyard.data import load, store
from steelyard.levers.combining._calibrate import Calibrate
from steelyard.levers.combining._cascade import Cascade
from steelyard.recipe import Combine, Plan, Settings, Train, parents
from steelyard.registry import levers
from steelyard.search.execute import execute
from steelyard.search.store import Store, outcome_from_json
from steelyard.spec import Spec
from steelyard.units import Seconds

LINEAR = Train(learner="linear")
TWIN = Train(learner="linear", seed=1)
"""Answers what LINEAR answers: nothing in it is drawn."""
TREES = Train(learner="lightgbm", plan=Plan(rounds=40))
BLEND = Combine(lever="ensemble", parents=(LINEAR, TREES))
WARM = Combine(lever="calibrate", parents=(BLEND,))
CASCADE = Combine(lever="cascade", parents=(LINEAR, BLEND), settings=Settings(tolerance=0.02))


@pytest.fixture(autouse=True)
def known():
    """Both levers, whether or not they are registered."""
    for made in (Calibrate(), Cascade()):
        if made.name not in levers().names():
            levers().add(made.name, made)


def kept(folder):
    """Put the handwritten digits into a store, odd or even to be told: lines are good at that, trees better."""
    table = load_digits()
    frame = {f"x{i}": column.tolist() for i, column in enumerate(table.data.T) if np.ptp(column) > 0}
    frame["y"] = np.where(table.target % 2, "odd", "even").tolist()
    dataset = load(Spec(data=frame, target="y", positive="odd", quality={"metric": "accuracy"}), None)
    (folder / "bundles").mkdir(parents=True)
    store.save(dataset, folder)
    return folder, dataset


class Run:
    """Executes recipes, those under them first."""

    def __init__(self, folder, dataset):
        self.folder, self.dataset, self.store = folder, dataset, Store(folder)

    def job(self, recipe, **more):
        fixed = {"fingerprint": self.dataset.fingerprint, "store": self.folder, "seconds": Seconds("inf")}
        return Job(number=0, recipe=recipe, **fixed, **more)

    def __call__(self, recipe):
        for parent in parents(recipe):
            if self.store.outcome(parent) is None:
                made = self(parent)
                assert made.ending is Ending.MEASURED, made.note
        return outcome_from_json(execute(self.job(recipe)))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return Run(*kept(tmp_path_factory.mktemp("digits") / "store"))


def test_a_calibrated_blend_is_judged_on_rows_that_neither_was_fitted_on(digits):
    outcome = digits(WARM)
    assert outcome.ending is Ending.MEASURED, outcome.note
    assert outcome.rule["rule"] == "temperature"
    scores = digits.store.answers(WARM).scores
    shipped = np.concatenate(
        [
            load_bundle(digits.store.place(WARM) / part.name)
            .answer(digits.dataset.rows.take(part.score).columns)
            .scores
            for part in digits.dataset.partition.parts
        ]
    )
    assert scores.shape == shipped.shape
    assert np.abs(np.sort(scores[:, 1]) - np.sort(shipped[:, 1])).max() > 1e-6, (
        "the rule that ships answered for itself"
    )


def test_what_is_fitted_on_a_combination_sees_answers_that_it_was_not_fitted_on(digits, monkeypatch):
    assert digits(BLEND).ending is Ending.MEASURED
    shown = []
    fit = Calibrate.fit

    def watched(self, evidence, settings, work):
        shown.append(evidence.answers[0].scores)
        return fit(self, evidence, settings, work)

    monkeypatch.setattr(type(levers().get("calibrate")), "fit", watched)
    recipe = replace(WARM, settings=Settings(method="temperature"))
    assert digits(recipe).ending is Ending.MEASURED
    partition = digits.dataset.partition
    once = np.searchsorted(partition.scored, np.intersect1d(partition.validation, partition.development))
    assert shown[0] == pytest.approx(digits.store.answers(BLEND).scores[once], abs=1e-12)


def test_a_cascade_of_a_model_and_a_blend_runs_and_says_what_it_promises(digits):
    outcome = digits(CASCADE)
    assert outcome.ending is Ending.MEASURED, outcome.note
    assert outcome.rule["promise"] == {"metric": "accuracy", "lost_at_most": 0.02, "confidence": 0.95}
    assert 0 < outcome.rule["escalated"]["share"] < 0.6
    dear = digits.store.outcome(BLEND).validation["accuracy"].value
    assert outcome.validation["accuracy"].value > dear - 0.02


def test_a_cascade_of_calibrated_models_and_one_under_a_calibration_nest(digits):
    cheap = Combine(lever="calibrate", parents=(LINEAR,))
    inner = replace(CASCADE, parents=(cheap, BLEND))
    outer = Combine(lever="calibrate", parents=(inner,))
    outcome = digits(outer)
    assert outcome.ending is Ending.MEASURED, outcome.note
    folder = digits.store.place(outer) / digits.dataset.partition.parts[0].name
    manifest = load_bundle(folder).manifest
    assert manifest.model.rule["rule"] == "temperature"
    rows = digits.dataset.rows.take(digits.dataset.partition.parts[0].score[:40])
    bundle = load_bundle(folder)
    whole = bundle.answer(rows.columns)
    one = [bundle.answer({name: cells[i : i + 1] for name, cells in rows.columns.items()}).scores[0] for i in range(40)]
    assert whole.scores == pytest.approx(np.array(one), abs=1e-5)


def test_a_cascade_is_refitted_with_the_rule_that_was_measured(digits):
    measured = digits(CASCADE)
    place = digits.folder / "bundles" / execute(digits.job(CASCADE, errand=Errand.REFIT, rounds=(0, 0, 40)))["bundle"]
    bundle = load_bundle(place)
    assert bundle.manifest.model.rule == measured.rule
    test = digits.dataset.rows.take(digits.dataset.partition.test)
    assert (bundle.answer(test.columns).decided == test.target).mean() > 0.9


def test_a_threshold_on_a_calibrated_blend_nests(digits):
    outcome = digits(Combine(lever="threshold", parents=(WARM,)))
    assert outcome.ending is Ending.MEASURED, outcome.note
    assert outcome.rule["rule"] == "threshold"
    assert outcome.validation["accuracy"].value > digits.store.outcome(LINEAR).validation["accuracy"].value


def test_a_blend_of_one_is_refused_since_its_member_is_a_candidate_already(digits):
    outcome = digits(Combine(lever="ensemble", parents=(LINEAR, TWIN)))
    assert outcome.ending is Ending.REFUSED
    assert outcome.note == "No blend of these is better than one of them alone, linear."


def test_a_promise_is_refused_where_rows_come_in_groups(digits, monkeypatch):
    grouped = replace(digits.dataset, groups=np.arange(len(digits.dataset.rows)) // 2)
    monkeypatch.setattr(Store, "dataset", lambda _: grouped)
    outcome = digits(replace(CASCADE, settings=Settings(tolerance=0.06)))
    assert outcome.ending is Ending.REFUSED
    assert "needs independent rows, and rows of one group are not" in outcome.note


def test_too_few_rows_for_cross_fitting_are_refused_with_the_reason(digits):
    rows = len(np.intersect1d(digits.dataset.partition.calibration, digits.dataset.partition.development))
    enough_for_all = Settings(tolerance=4.5 / rows)  # and not for four fifths
    outcome = digits(Combine(lever="cascade", parents=(LINEAR, TWIN), settings=enough_for_all))
    assert outcome.ending is Ending.REFUSED
    assert "cascade needs" in outcome.note
    assert outcome.note.endswith("(It is judged on rows that it is not fitted on, so each fit has fewer.)")
