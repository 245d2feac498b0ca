"""A recipe that distils: who teaches on which rows, what ships, and what the student is judged on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from steelyard.bundle import load as load_bundle
from steelyard.contracts import Answer, Ending, Errand, Job
from steelyard.data import load, store
from steelyard.levers.shrinking._distil import Distil
from steelyard.levers.shrinking.distilling.lessons import unrolled
from steelyard.levers.shrinking.distilling.students import STUDENTS, Student
from steelyard.recipe import Combine, Plan, Settings, Shrink, Step, Train
from steelyard.registry import levers
from steelyard.search.distilling import teacher_of
from steelyard.search.execute import execute
from steelyard.search.fitting import Refused
from steelyard.search.making import Bench
from steelyard.search.meter import JobMeter
from steelyard.search.store import Store, outcome_from_json
from steelyard.spec import Spec
from steelyard.units import Seconds


def keeping(learner, columns, **more):
    """A training on some of the ten columns."""
    step = Step(lever="select", settings=Settings(columns=json.dumps(columns)))
    return Train(learner=learner, plan=Plan(parts=(step,), **more))


NAMES = [str(name) for name in load_breast_cancer().feature_names[:10]]
QUICK = {"rounds": 40, "settings": Settings(learning_rate=0.1)}
PAIR = (keeping("linear", NAMES[::2]), keeping("lightgbm", NAMES[::2], **QUICK))
"""Two models on five columns that are better together than either alone."""
BLEND = Combine(lever="ensemble", parents=PAIR)


def taught(parent, learner="linear", synthetic=1.0):
    return Shrink(lever="distil", parent=parent, settings=Settings(learner=learner, synthetic=synthetic))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(levers()._made, "distil", Distil())


@pytest.fixture(scope="module")
def tumours(tmp_path_factory):
    """Real patients in a store, with the members of a blend trained."""
    folder = tmp_path_factory.mktemp("tumours")
    cells = load_breast_cancer()
    frame = {name: cells.data[:, i].tolist() for i, name in enumerate(NAMES)}
    frame["y"] = [str(cells.target_names[code]) for code in cells.target]
    dataset = load(Spec(data=frame, target="y", quality={"metric": "log_loss"}), None)
    (folder / "bundles").mkdir()
    store.save(dataset, folder)
    return folder, dataset


@pytest.fixture
def patients(tumours):
    folder, dataset = tumours

    def make(recipe, **more):
        fixed = {"fingerprint": dataset.fingerprint, "store": folder, "seconds": Seconds("inf")}
        return Job(number=0, recipe=recipe, **fixed | more)

    return make


def test_a_student_of_a_blend_comes_near_it_and_is_one_small_graph(tumours, patients):
    folder, dataset = tumours
    outcome = outcome_from_json(execute(patients(taught(BLEND))))
    blend, student = outcome_from_json(execute(patients(BLEND))), outcome
    assert (student.ending, student.note) == (Ending.MEASURED, "")
    assert student.validation["log_loss"].value < blend.validation["log_loss"].value + 0.05
    kept = Store(folder)
    part = dataset.partition.parts[0]
    own, whole = (load_bundle(kept.place(recipe) / part.name) for recipe in (taught(BLEND), BLEND))
    assert own.recipe == taught(BLEND)
    assert own.size_bytes < whole.size_bytes / 2
    rows = dataset.rows.take(part.score).columns
    linear = load_bundle(kept.place(PAIR[0]) / part.name).answer(rows).scores
    apart = [np.abs(scores - whole.answer(rows).scores).mean() for scores in (own.answer(rows).scores, linear)]
    assert apart[0] < apart[1], "the student is no nearer to the blend than the same learner taught by the truth"


def test_rounds_are_found_by_rows_of_the_truth_and_repeated_by_the_refit(tumours, patients, monkeypatch):
    from steelyard.learners._lightgbm import LightGBM

    monkeypatch.setitem(STUDENTS, "lightgbm", Student(settings=Settings(learning_rate=0.3)))
    recipe, plans, honest = taught(PAIR[0], "lightgbm"), [], LightGBM.fit
    rounds = outcome_from_json(execute(patients(recipe))).rounds
    assert len(rounds) == len(tumours[1].partition.parts)

    def watched(self, plan, train, valid, *more):
        plans.append((plan.rounds, valid))
        return honest(self, plan, train, valid, *more)

    monkeypatch.setattr(LightGBM, "fit", watched)
    made = execute(patients(recipe, errand=Errand.REFIT, rounds=(0,)))
    assert plans == [(round(np.mean(rounds)), None)]
    assert load_bundle(tumours[0] / "bundles" / made["bundle"]).recipe == recipe


def test_each_part_is_taught_by_its_own_parent_on_its_own_rows(tumours, patients, monkeypatch):
    folder, dataset = tumours
    lessons, honest = [], Distil.teach

    def watched(self, split, teacher, *more):
        lessons.append((split, teacher))
        return honest(self, split, teacher, *more)

    monkeypatch.setattr(Distil, "teach", watched)
    recipe = taught(PAIR[0], synthetic=0.5)
    assert outcome_from_json(execute(patients(recipe))).ending is Ending.MEASURED
    parts = dataset.partition.parts
    assert len(lessons) == len(parts)
    for part, (split, teacher) in zip(parts, lessons, strict=True):
        assert set(split.rows) == set(dataset.rows.rows[part.fit])
        own = load_bundle(Store(folder).place(PAIR[0]) / part.name)
        some = dataset.rows.take(part.score).columns
        np.testing.assert_array_equal(teacher(some).scores, own.answer(some).scores)


@pytest.mark.parametrize("takes", [True, False])
def test_a_learner_that_takes_lessons_is_told_every_row_once(tumours, patients, monkeypatch, takes):
    from steelyard.learners._linear import Linear

    given, honest = [], Linear.fit

    def watched(self, plan, train, *more):
        given.append(train)
        return honest(self, plan, unrolled(train), *more)

    monkeypatch.setattr(Linear, "fit", watched)
    monkeypatch.setattr(Linear, "takes_lessons", takes, raising=False)
    recipe = taught(PAIR[1], synthetic=0.25 if takes else 0.5)
    assert outcome_from_json(execute(patients(recipe))).ending is Ending.MEASURED
    for train, part in zip(given, tumours[1].partition.parts, strict=True):
        assert (train.lesson is not None) == takes
        assert len(train) == round(1.25 * len(part.fit)) if takes else len(train) > 1.5 * len(part.fit)


def test_a_student_reads_no_column_that_its_teacher_does_not(tumours, patients):
    folder, dataset = tumours
    recipe = taught(keeping("linear", ["mean texture", "mean area"]))
    assert outcome_from_json(execute(patients(recipe))).ending is Ending.MEASURED
    bundle = load_bundle(Store(folder).place(recipe) / dataset.partition.parts[0].name)
    assert {column.name for column in bundle.reads.features} == {"mean area", "mean texture"}


class Spy:
    """A combining lever that keeps the rows its rule was fitted on, told by their weights."""

    name, fits_on, needs_rows = "spy", "validation", 1

    def __init__(self):
        self.seen = []

    def fit(self, evidence, settings, work):
        self.seen.append(evidence)
        return {"rule": "blend", "weights": [1.0] * len(evidence.answers)}


@pytest.mark.parametrize("held", ["folds", "holdout"])
def test_the_rules_of_a_teacher_are_fitted_without_the_rows_its_student_is_judged_on(
    tumours, patients, monkeypatch, held
):
    folder, dataset = tumours
    assert outcome_from_json(execute(patients(BLEND))).ending is Ending.MEASURED
    numbered = replace(dataset.rows, weights=np.arange(1.0, len(dataset.rows) + 1))  # a weight tells its row
    partition = dataset.partition
    part = partition.parts[0]
    if held == "holdout":
        half = len(part.score) // 2
        partition = replace(partition, validation=part.score[:half], calibration=part.score[half:], parts=(part,))
    bench = Bench(
        job=patients(BLEND),
        store=Store(folder),
        dataset=replace(dataset, rows=numbered, partition=partition),
        meter=JobMeter(Seconds(60)),
    )
    answers = Answer(np.full((len(partition.scored), 2), 0.5), np.zeros(len(partition.scored), np.int64))
    monkeypatch.setattr(Store, "answers", lambda *_: answers)
    spy = Spy()
    monkeypatch.setattr("steelyard.search.distilling.levers", lambda: {"ensemble": spy, "spy": spy})
    nested = Combine(lever="spy", parents=(BLEND, PAIR[0]))
    teacher = teacher_of(nested, bench, part)
    judged = set(np.intersect1d(part.score, partition.validation))
    for evidence in spy.seen:
        fitted_on = set((evidence.weights - 1).astype(int))
        assert fitted_on
        assert not fitted_on & judged
        assert fitted_on <= set(partition.scored)
    assert len(spy.seen) == 2
    rows = dataset.rows.take(part.score[:5]).columns
    linear, trees = (load_bundle(Store(folder).place(one) / part.name).answer(rows).scores for one in PAIR)
    np.testing.assert_allclose(teacher(rows).scores, (linear + trees) / 4 + linear / 2)


def test_a_rule_that_has_too_few_other_rows_is_refused(tumours, patients, monkeypatch):
    folder, dataset = tumours
    assert outcome_from_json(execute(patients(BLEND))).ending is Ending.MEASURED
    bench = Bench(job=patients(BLEND), store=Store(folder), dataset=dataset, meter=JobMeter(Seconds(60)))
    monkeypatch.setattr(type(levers().get("ensemble")), "needs_rows", 10_000)
    with pytest.raises(Refused, match="10000"):
        teacher_of(BLEND, bench, dataset.partition.parts[0])


def test_without_time_the_trial_ends_by_the_deadline(patients):
    assert outcome_from_json(execute(patients(PAIR[0]))).ending is Ending.MEASURED
    late = execute(patients(taught(PAIR[0], synthetic=3.0), seconds=Seconds(0.0)))
    assert outcome_from_json(late).ending is Ending.BUDGET_SPENT
