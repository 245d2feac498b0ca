"""A recipe that keeps some columns: what its learner sees, what its bundle asks for, what serving it costs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from steelyard.bundle import load as load_bundle
from steelyard.contracts import Ending, Errand, Job
from steelyard.data import load, store
from steelyard.decide.serving import collecting
from steelyard.levers.training._select import Select
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.search.codec import trial_from_json, trial_to_json
from steelyard.search.execute import execute
from steelyard.search.history import trial_of
from steelyard.search.loop import context_of
from steelyard.search.store import Store, outcome_from_json
from steelyard.spec import Spec
from steelyard.units import Seconds


def keeping(*names, learner="linear", **more):
    step = Step(lever="select", settings=Settings(columns=json.dumps(names)))
    return Train(learner=learner, plan=Plan(parts=(step,), **more))


def test_the_bundle_asks_for_the_columns_that_are_kept_and_no_others(kept, job):
    folder, dataset = kept
    recipe = keeping("colour", "a")
    assert outcome_from_json(execute(job(recipe))).ending is Ending.MEASURED
    for part in dataset.partition.parts:
        bundle = load_bundle(folder / "bundles" / Store(folder).place(recipe).name / part.name)
        assert {column.name for column in bundle.reads.features} == {"a", "colour"}
        assert {column.name for column in bundle.schema.features} == {"a", "b", "colour"}, "the table is the whole one"
        assert bundle.answer_row({"a": 1.0, "colour": "red"}).scores.shape == (1, 2)


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_a_column_that_is_left_out_changes_nothing(kept, job, learner):
    folder, dataset = kept
    mixed = np.random.default_rng(1).permutation(dataset.rows.columns["b"])
    recipe = keeping("colour", "a", learner=learner, rounds=5 if learner == "lightgbm" else None)
    one = outcome_from_json(execute(job(recipe)))
    shutil.rmtree(Store(folder).place(recipe))
    store.save(replace(dataset, rows=replace(dataset.rows, columns={**dataset.rows.columns, "b": mixed})), folder)
    assert outcome_from_json(execute(job(recipe))).validation == one.validation


def test_a_refit_keeps_the_same_columns(job, kept):
    folder, _ = kept
    recipe = keeping("colour", learner="lightgbm")
    rounds = outcome_from_json(execute(job(recipe))).rounds
    made = execute(job(recipe, errand=Errand.REFIT, rounds=(round(np.mean(rounds)),)))
    bundle = load_bundle(folder / "bundles" / made["bundle"])
    assert {column.name for column in bundle.reads.features} == {"colour"}


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (keeping("colour", "size"), "size"),
        (Train(learner="linear", plan=Plan(parts=(Step(lever="select"),))), "JSON list"),
        (keeping("colour", settings=Settings(num_leaves=3)), "num_leaves"),
    ],
)
def test_what_cannot_be_selected_is_refused(job, recipe, says):
    outcome = outcome_from_json(execute(job(recipe)))
    assert outcome.ending is Ending.REFUSED
    assert says in outcome.note


# ---------------------------------------------------------------------------------------------- importance


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory):
    """Real patients, and two columns beside them that say nothing."""
    folder = tmp_path_factory.mktemp("diabetes")
    cells, random = load_diabetes(), np.random.default_rng(3)
    frame = {name: cells.data[:, i].tolist() for i, name in enumerate(cells.feature_names)}
    frame |= {"noise": random.normal(size=442).tolist(), "dice": random.choice(["one", "two", "three"], 442).tolist()}
    dataset = load(Spec(data=frame | {"y": cells.target.tolist()}, target="y"), None)
    (folder / "bundles").mkdir()
    store.save(dataset, folder)
    return folder, dataset


@pytest.fixture
def patients(diabetes):
    folder, dataset = diabetes

    def make(recipe):
        done = execute(
            Job(number=0, recipe=recipe, fingerprint=dataset.fingerprint, store=folder, seconds=Seconds("inf"))
        )
        return outcome_from_json(done)

    return make


def test_a_first_training_tells_which_columns_it_would_miss(patients):
    found = patients(Train(learner="linear")).importance
    assert len(found) == 12
    order = sorted(found, key=found.get)
    assert {"bmi", "s5"} <= set(order[-5:]), "body mass and s5 are what everybody finds in these data"
    assert max(abs(found["noise"]), abs(found["dice"])) < 0.2 * found["bmi"]


def test_it_is_kept_with_the_trial(patients):
    outcome = patients(Train(learner="linear"))
    trial = trial_of(1, "start", outcome, "5-fold")
    assert trial.importance == outcome.importance
    assert trial_from_json(json.loads(json.dumps(trial_to_json(trial)))) == trial


def test_tuned_trainings_and_the_constant_model_are_not_looked_at(patients):
    assert not patients(Train(learner="linear", plan=Plan(settings=Settings(C=0.5)))).importance
    assert not patients(Train(learner="constant")).importance


def test_what_it_leads_to_is_as_good_and_reads_less(patients, diabetes):
    _, dataset = diabetes
    first = trial_of(1, "start", patients(Train(learner="linear")), "5-fold")
    context = replace(context_of(Spec(data="x.csv", target="y"), dataset, 1), trials=(first,))
    moves = list(Select().moves(first, context))
    assert moves
    half = patients(moves[-1].recipe)
    assert half.ending is Ending.MEASURED
    assert half.validation["rmse"].value < 1.03 * first.validation["rmse"].value


def test_few_rows_tell_nothing(frame, tmp_path):
    dataset = load(Spec(data={name: cells[:90] for name, cells in frame.items()}, target="bought"), None)
    (tmp_path / "bundles").mkdir()
    store.save(dataset, tmp_path)
    recipe = Train(learner="linear")
    done = execute(
        Job(number=0, recipe=recipe, fingerprint=dataset.fingerprint, store=tmp_path, seconds=Seconds("inf"))
    )
    assert outcome_from_json(done).ending is Ending.MEASURED
    assert not outcome_from_json(done).importance


# ------------------------------------------------------------------------------------------------- prices


def test_columns_that_are_left_out_are_not_paid_for():
    spec = Spec(data="x.csv", target="y", columns={"price": {"scan": "2 USD", "age": "0.01 USD"}})
    assert str(collecting(spec, Train(learner="linear")).amount) == "2.01"
    assert str(collecting(spec, keeping("age", "sex")).amount) == "0.01"
    assert collecting(spec, keeping("sex")) is None
    assert collecting(spec, Train(learner="constant")) is None
