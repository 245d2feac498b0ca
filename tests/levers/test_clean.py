"""Rows that look like mistakes are found, listed, and nothing that is not listed changes."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Column, Job, Kind, Problem, Schema, Split, Task, Work
from steelyard.data import load, store
from steelyard.errors import SteelyardError
from steelyard.levers.data._changes import Act, applied, from_csv
from steelyard.levers.data._clean import CHANGES, Clean
from steelyard.levers.data._mistakes import apart
from steelyard.recipe import Settings, Step, Train
from steelyard.registry import levers
from steelyard.spec import Spec
from steelyard.testing import check_lever
from steelyard.testing.situations import situation
from steelyard.units import Seconds

WITHOUT_LABELS = Settings(labels="keep")


class Desk:
    """A meter that keeps notes and files."""

    def __init__(self):
        self.notes, self.files = [], {}

    def report(self, step, value):
        return True

    def remaining(self):
        return Seconds("inf")

    def note(self, sentence):
        self.notes.append(sentence)

    def keep(self, name, content):
        self.files[name] = content

    @property
    def changes(self):
        return from_csv(self.files[CHANGES])


def schema_of(**kinds):
    return Schema(tuple(Column(name=name, kind=kind) for name, kind in kinds.items()))


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def people(binary, random):
    """300 people: age, income, town, two dates; whether they answered."""
    n = 300
    start = 1.5e9 + 86_400.0 * random.integers(0, 900, n)
    columns = {
        "age": random.normal(45, 12, n).round(2),
        "income": random.lognormal(10, 0.5, n).round(2),
        "town": random.choice(np.array(["Oslo", "Bonn", "Lima"], dtype=object), n),
        "start": start,
        "end": start + 86_400.0 * random.integers(1, 90, n),
    }
    kinds = {"age": Kind.NUMBER, "income": Kind.NUMBER, "town": Kind.CATEGORY, "start": Kind.TIME, "end": Kind.TIME}
    target = (columns["age"] + random.normal(0, 8, n) > 45).astype(np.int64)
    rows = Split(columns, target, 1000 + 2 * np.arange(n))
    return rows, Work(task=binary, schema=schema_of(**kinds), seed=1)


def with_cell(rows, name, place, value):
    columns = dict(rows.columns)
    columns[name] = columns[name].copy()
    columns[name][place] = value
    return replace(rows, columns=columns)


def appended(rows, places):
    more = rows.take(np.r_[np.arange(len(rows)), places])
    return replace(more, rows=1000 + 2 * np.arange(len(more)))


def test_honest_rows_stay(people, desk):
    rows, work = people
    assert len(Clean().apply(rows, WITHOUT_LABELS, work, desk)) == len(rows)
    assert desk.changes == ()
    assert "nothing to change in 300 rows" in desk.notes[0]


def test_of_rows_entered_twice_the_first_stays(people, desk):
    rows, work = people
    made = Clean().apply(appended(rows, [4, 9]), WITHOUT_LABELS, work, desk)
    assert made.rows.tolist() == rows.rows.tolist()
    assert [(c.row, c.reason, c.old) for c in desk.changes] == [
        (1600, "duplicate", "row 1008"),
        (1602, "duplicate", "row 1018"),
    ]


def test_rows_that_differ_by_next_to_nothing_are_near_repeats_and_others_are_not(people, desk):
    rows, work = people
    twice = appended(rows, [4, 9, 12, 15])
    for place, name, value in (
        (300, "age", rows.columns["age"][4] + 0.005),
        (301, "age", rows.columns["age"][9] + 1.0),
        (302, "town", "Rome"),
        (303, "income", math.nan),
    ):
        twice = with_cell(twice, name, place, value)
    Clean().apply(twice, WITHOUT_LABELS, work, desk)
    assert [(c.row, c.reason) for c in desk.changes] == [(1600, "near duplicate")]


def test_a_target_that_contradicts_most_equal_rows_is_dropped(people, desk):
    rows, work = people
    several = appended(rows, [4, 4, 4])
    target = several.target.copy()
    target[[300, 301, 302]] = target[4], target[4], 1 - target[4]
    Clean().apply(replace(several, target=target), WITHOUT_LABELS, work, desk)
    assert {c.row: c.reason for c in desk.changes} == {1604: "contradiction", 1600: "duplicate", 1602: "duplicate"}
    assert "3 of 4 rows with the same features" in desk.changes[0].why


@pytest.mark.parametrize(
    ("name", "value"), [("age", 9999.0), ("age", -1.0), ("start", -2.2e9), ("end", 2.5e11), ("income", 1e9)]
)
def test_a_value_apart_from_all_others_is_impossible(people, desk, name, value):
    rows, work = people
    assert value < rows.columns[name].min() or value > rows.columns[name].max()
    made = Clean().apply(with_cell(rows, name, 7, value), WITHOUT_LABELS, work, desk)
    assert [(c.row, c.reason) for c in desk.changes] == [(1014, "impossible value")]
    assert 1014 not in made.rows


def test_long_tails_are_not_impossible(random):
    for values in (random.lognormal(0, 1, 5000), random.exponential(size=5000), random.standard_t(4, 5000)):
        assert not apart(values).any()


def test_an_end_before_its_start_is_inconsistent(people, desk):
    rows, work = people
    Clean().apply(with_cell(rows, "end", 7, rows.columns["start"][7] - 86_400.0), WITHOUT_LABELS, work, desk)
    assert [(c.row, c.reason) for c in desk.changes] == [(1014, "inconsistent")]
    often = rows.columns["end"].copy()
    often[:30] = rows.columns["start"][:30] - 1
    other = Desk()
    Clean().apply(replace(rows, columns={**rows.columns, "end": often}), WITHOUT_LABELS, work, other)
    assert other.changes == ()


def test_what_most_rows_do_is_no_mistake(binary, desk, random):
    few = Split(
        {"town": random.choice(np.array(["a", "b"], dtype=object), 400)}, random.integers(0, 2, 400), np.arange(400)
    )
    work = Work(task=binary, schema=schema_of(town=Kind.CATEGORY))
    assert len(Clean().apply(few, Settings(labels="keep"), work, desk)) == 400
    assert any("too many to be mistakes" in note for note in desk.notes)


# --------------------------------------------------------------------------------------------- labels


@pytest.fixture(scope="module")
def flipped():
    """Breast cancer with one label in twelve wrong: the rows, the places that are wrong, the work."""
    data = load(Spec(data="sklearn:breast_cancer", target="y", split={"repeats": 1}))
    rows = data.rows.take(data.partition.development)
    wrong = np.random.default_rng(5).permutation(len(rows))[: len(rows) // 12]
    target = rows.target.copy()
    target[wrong] = 1 - target[wrong]
    return replace(rows, target=target), wrong, Work(task=data.task, schema=data.schema, seed=0)


def test_labels_that_were_flipped_are_found_and_few_others_are(flipped, desk):
    rows, wrong, work = flipped
    Clean().apply(rows, Settings(), work, desk)
    doubted, planted = {c.row for c in desk.changes}, set(rows.rows[wrong].tolist())
    assert len(doubted & planted) > 0.7 * len(planted)
    assert len(doubted & planted) > 0.6 * len(doubted)


def test_a_corrected_label_says_what_it_was_and_is_right_more_often(flipped, desk):
    rows, wrong, work = flipped
    made = Clean().apply(rows, Settings(labels="correct"), work, desk)
    truth = rows.target.copy()
    truth[wrong] = 1 - truth[wrong]
    assert len(made) == len(rows)
    assert (made.target == truth).mean() > (rows.target == truth).mean() + 0.025
    was = dict(zip(rows.rows.tolist(), rows.target.tolist(), strict=True))
    for change in desk.changes:
        assert change.act is Act.CORRECTED
        assert change.old == work.task.classes[was[change.row]] != change.new


def test_a_doubted_row_can_weigh_less_instead(flipped, desk):
    rows, wrong, work = flipped
    made = Clean().apply(rows, Settings(labels="weigh"), work, desk)
    light = made.weights < 1
    assert len(made) == len(rows)
    assert rows.weights is None
    assert light[wrong].mean() > 0.7
    assert light.mean() <= 0.1


def test_numbers_far_from_what_the_other_rows_say_are_doubted(desk):
    data = load(Spec(data="sklearn:diabetes", target="y"))
    rows = data.rows.take(data.partition.parts[0].fit)
    target = rows.target.copy()
    target[[10, 20]] += 20_000.0
    work = Work(task=data.task, schema=data.schema)
    made = Clean().apply(replace(rows, target=target), Settings(), work, desk)
    assert {c.row for c in desk.changes} == set(rows.rows[[10, 20]].tolist())
    assert len(made) == len(rows) - 2


def test_without_cleanlab_labels_are_left_and_the_rest_is_done(flipped, monkeypatch, desk):
    rows, _, work = flipped
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    made = Clean().apply(appended(rows, [3]), Settings(), work, desk)
    assert len(made) == len(rows)
    assert [note for note in desk.notes if "labels are not looked at" in note and "pip install" in note]


# ------------------------------------------------------------------------------------------------ list


def test_the_list_says_all_that_changed_and_can_be_applied_in_part(flipped, desk):
    rows, _, work = flipped
    mistaken = with_cell(appended(rows, [3, 5]), "mean radius", 8, 9999.0)
    made = Clean().apply(mistaken, Settings(labels="correct"), work, desk)
    again = applied(mistaken, desk.changes, work.task)
    assert again.rows.tolist() == made.rows.tolist()
    assert again.target.tolist() == made.target.tolist()
    assert {c.reason for c in desk.changes} == {"duplicate", "impossible value", "target"}
    kept = [c for c in desk.changes if c.reason != "duplicate"]
    assert len(applied(mistaken, kept, work.task)) == len(made) + 2


@pytest.mark.parametrize("settings", [Settings(labels="delete"), Settings(most=0.9), Settings(lables="drop")])
def test_settings_that_make_no_sense_are_refused(people, desk, settings):
    rows, work = people
    with pytest.raises(SteelyardError, match="clean"):
        Clean().apply(rows, settings, work, desk)


# ----------------------------------------------------------------------------------------------- moves


def test_the_best_training_is_cleaned_once(trial, context):
    good, better = trial(1, "lines", 0.7), trial(2, "trees", 0.8)
    around = context(good, better)
    assert not list(Clean().moves(good, around))
    (move,) = Clean().moves(better, around)
    assert [step.lever for step in move.recipe.data] == ["clean"]
    assert move.recipe.plan == better.recipe.plan
    cleaned = trial(3, recipe=move.recipe, aim=0.79)
    assert not list(Clean().moves(better, context(good, better, cleaned)))
    assert not list(Clean().moves(cleaned, context(good, better, cleaned)))


def test_few_rows_are_not_cleaned(trial, context):
    one = trial(1)
    assert list(Clean().moves(one, context(one, rows=200)))
    assert not list(Clean().moves(one, context(one, rows=199)))


def test_it_keeps_the_contract_of_levers():
    check_lever(Clean(), among=[situation(Problem.BINARY)])


def test_a_trial_keeps_the_list_of_each_part(tmp_path):
    from steelyard.search.execute import execute

    levers().add("clean", Clean())
    data = load(Spec(data="sklearn:breast_cancer", target="y", split={"folds": 2}))
    (tmp_path / "bundles").mkdir()
    store.save(data, tmp_path)
    recipe = Train(learner="linear", data=(Step(lever="clean", settings=Settings(most=0.05)),))
    job = Job(number=0, recipe=recipe, fingerprint=data.fingerprint, store=tmp_path, seconds=Seconds(math.inf))
    left = execute(job)
    assert left["ending"] == "MEASURED", left["note"]
    assert any("clean" in note for note in left["notes"])
    lists = sorted(tmp_path.glob("bundles/*/part-*-changes.csv"))
    assert [path.name for path in lists] == ["part-0-changes.csv", "part-1-changes.csv"]
    for path, part in zip(lists, data.partition.parts, strict=True):
        listed = {change.row for change in from_csv(path.read_bytes())}
        assert listed
        assert listed <= set(data.rows.rows[part.fit].tolist())


def test_targets_of_a_task_with_several_classes_keep_their_names(desk):
    data = load(Spec(data="sklearn:digits", target="y"))
    rows = data.rows.take(data.partition.parts[0].fit[:700])
    target = rows.target.copy()
    target[:20] = (target[:20] + 1) % 10
    work = Work(task=data.task, schema=data.schema)
    Clean().apply(replace(rows, target=target), Settings(labels="correct", repeats=False, values=False), work, desk)
    truth = dict(zip(rows.rows.tolist(), rows.target.tolist(), strict=True))
    planted = [c for c in desk.changes if c.row in set(rows.rows[:20].tolist())]
    assert len(planted) >= 14
    assert sum(c.new == data.task.classes[truth[c.row]] for c in planted) >= 0.8 * len(planted)


TASK = Task(problem=Problem.REGRESSION, target="y", aim="rmse")


def test_a_corrected_number_is_read_back_exactly():
    rows = Split({"x": np.arange(3.0)}, np.array([0.1, 1 / 3, 2.0]), np.array([5, 6, 7]))
    from steelyard.levers.data._changes import Change, to_csv

    change = Change(row=6, act=Act.CORRECTED, reason="target", old=repr(1 / 3), new=repr(0.7 / 3))
    made = applied(rows, from_csv(to_csv([change])), TASK)
    assert made.target.tolist() == [0.1, 0.7 / 3, 2.0]
