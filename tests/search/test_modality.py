"""A table of several modalities: each learner is started on what it can read, and models are joined."""

import json

import pytest

from steelyard.contracts import Column, Context, Kind, Problem, Refusal, Schema, Space, Task
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training.parts import MODALITY, columns_of, for_learner, read_by
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.registry import learners
from steelyard.search.modality import only, readable, reading, starters
from steelyard.search.moves import Search

TASK = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")
MIXED = Schema(
    (
        Column(name="age", kind=Kind.NUMBER),
        Column(name="id", kind=Kind.ID),
        Column(name="front", kind=Kind.IMAGE),
        Column(name="back", kind=Kind.IMAGE),
        Column(name="note", kind=Kind.TEXT),
        Column(name="job", kind=Kind.CATEGORY),
    )
)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("lightgbm", ("age", "note", "job")),
        ("linear", ("age", "note", "job")),
        ("tfidf-linear", ("note",)),
        ("cnn", ("front",)),
    ],
)
def test_a_learner_reads_as_many_columns_of_a_mixed_table_as_it_can(name, columns):
    learner = learners().get(name)
    assert learner.accepts(TASK, MIXED) is not None
    assert readable(learner, TASK, MIXED) == columns


def test_who_reads_nothing_of_a_table_is_left_out():
    table = only(MIXED, [MIXED.columns[0]])
    assert readable(learners().get("cnn"), TASK, table) is None


def test_learners_of_other_kinds_of_columns_are_summed_up_in_one_sentence():
    table = only(MIXED, [MIXED.columns[0]])
    some = [learners().get(name) for name in ("linear", "cnn", "tcn", "resnet", "theta", "tagger")]
    willing, reads, sentences = starters(some, TASK, table)
    assert [learner.name for learner in willing] == ["linear"]
    assert not reads
    assert len(sentences) == 1
    assert sentences[0].endswith("does not have were left out: image (cnn, resnet); sequence (tcn).")


def test_a_learner_that_was_asked_for_by_name_is_told_the_whole_reason():
    table = only(MIXED, [MIXED.columns[0]])
    _, _, sentences = starters([learners().get("cnn")], TASK, table, asked={"cnn"})
    assert sentences[0].startswith("cnn was left out: cnn reads images, and this table has none: use 'linear'")


def test_a_learner_refused_for_what_the_table_has_is_told_so():
    table = only(MIXED, [MIXED.columns[2]])
    _, _, sentences = starters([learners().get("lightgbm")], TASK, table)
    assert sentences[0].startswith("lightgbm was left out: lightgbm reads no images, and 'front' holds some")


def test_a_schema_keeps_what_is_no_feature():
    assert [c.name for c in only(MIXED, [MIXED.columns[2]]).columns] == ["id", "front"]


def test_what_a_plan_reads_is_what_both_parts_keep():
    plan = reading(Plan(), ["age", "note", "job"])
    assert columns_of(plan) == ("age", "note", "job")
    chosen = Step(lever="select", settings=Settings(columns='["job", "age", "front"]'))
    both = Plan(parts=(chosen, *plan.parts))
    assert columns_of(both) == ("job", "age")
    assert for_learner(both).parts == ()
    assert read_by(Train(learner="linear", plan=both), MIXED) == {"age", "job"}


@pytest.mark.parametrize("columns", ["age", "[]", '["age", "age"]', 3])
def test_a_part_that_names_no_columns_is_refused(columns):
    with pytest.raises(LeverRefused, match="modality"):
        columns_of(Plan(parts=(Step(lever=MODALITY, settings=Settings(columns=columns)),)))


def test_the_first_training_of_such_a_learner_says_what_it_reads_and_hopes_for_less():
    cnn = learners().get("cnn")
    context = Context(
        task=TASK, schema=MIXED, rows=500, calibration_rows=100, parts=1, trials=(), space=lambda _: Space({}),
        learner=learners().get,
    )  # fmt: skip
    alone = Context(
        task=TASK, schema=only(MIXED, [MIXED.columns[2]]), rows=500, calibration_rows=100, parts=1, trials=(),
        space=lambda _: Space({}), learner=learners().get,
    )  # fmt: skip
    (mixed,) = Search(context, [cnn], [], reads={"cnn": ("front",)}).rank()
    (single,) = Search(alone, [cnn], []).rank()
    (part,) = mixed.move.recipe.plan.parts
    assert (part.lever, json.loads(part.settings["columns"])) == ("modality", ["front"])
    assert mixed.move.prior.gain.value == pytest.approx(single.move.prior.gain.value / 5)
    assert single.move.recipe.plan == Plan()


def test_a_learner_that_refuses_everything_is_asked_about_no_column_twice():
    asked = []

    class Picky:
        def accepts(self, task, schema):
            asked.append(tuple(c.name for c in schema.features))
            return Refusal("no")

    assert readable(Picky(), TASK, MIXED) is None
    assert ("age", "front", "back", "note", "job") not in asked


def test_learners_made_for_another_problem_do_not_start_and_are_named_only_if_asked_for():
    task = Task(problem=Problem.TAGGING, target="y", aim="entity_f1", classes=("O", "B-x"))
    schema = Schema((Column(name="tokens", kind=Kind.TOKENS),))
    both = [learners().get(name) for name in ("constant", "linear", "lightgbm", "token-linear")]
    willing, reads, sentences = starters(both, task, schema)
    assert [one.name for one in willing] == ["constant", "token-linear"]
    assert (reads, sentences) == ({}, ())
    _, _, (sentence,) = starters(both, task, schema, {"linear"})
    assert sentence.startswith("linear was left out: linear does no tagging")
