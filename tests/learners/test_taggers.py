"""Taggers keep every promise of a learner; what they learn, and from what, is their own."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.rules import answer_of
from steelyard.bundle.tagging import TagModel
from steelyard.contracts import Column, Kind, Problem, Schema, Task, Work
from steelyard.data.coerce import objects
from steelyard.errors import DataUnfit
from steelyard.learners._constant import Constant
from steelyard.learners._crf import Chain, expected
from steelyard.learners._token_linear import TokenLinear
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners
from steelyard.tasks import metric
from steelyard.testing.learners import check_learner
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene, tagged

PLAN = Plan(settings=Settings(steps=20, least=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "plan"),
    [(TokenLinear(), PLAN), (Constant(), Plan())],
    ids=["token-linear", "constant"],
)
def test_a_tagger_keeps_what_every_learner_must(learner, plan):
    check_learner(learner, plan=plan, among=[tagged()])


@pytest.mark.slow
def test_the_net_keeps_what_every_learner_must():
    pytest.importorskip("torch")
    learner = learners().get("tagger")
    check_learner(learner, plan=Plan(settings=Settings(epochs=4, width=48, least=1)), among=[tagged()])


@pytest.fixture(scope="module")
def fitted():
    one = tagged()
    return TokenLinear().fit(PLAN, one.train, None, one.work, Watch())


def test_the_marginals_of_a_chain_are_those_of_all_rows_of_tags():
    rng = np.random.default_rng(0)
    chain = Chain(rng.normal(size=(3, 3)), rng.normal(size=3))
    said = rng.normal(size=(2, 4, 3))
    mask = np.array([[True] * 4, [True, True, False, False]])
    found = expected(said, mask, chain, np.ones(2))
    for row, tokens in ((0, 4), (1, 2)):
        tags = np.array(list(np.ndindex(*[3] * tokens)))
        logs = chain.first[tags[:, 0]] + said[row, np.arange(tokens), tags].sum(axis=1)
        logs += chain.between[tags[:, :-1], tags[:, 1:]].sum(axis=1)
        odds = np.exp(logs)
        assert found.total[row] == pytest.approx(np.log(odds.sum()))
        for place in range(tokens):
            shares = [odds[tags[:, place] == code].sum() / odds.sum() for code in range(3)]
            np.testing.assert_allclose(found.tags[row, place], shares)


def test_forbidden_steps_have_next_to_no_probability(fitted):
    one = tagged()
    scores = fitted.scores(one.valid.columns)
    assert max(row[0, [2, 4]].max() for row in scores) < 1e-9  # no row begins with an I


def test_a_row_of_very_many_tokens_is_answered_as_by_double_precision(fitted):
    one = tagged()
    model = TagModel(fitted.export(), one.task, one.schema, threads=1)
    columns = {"words": objects([("Oslo", "near", "Ann", "Lee") * 500, (), ("é" * 10_000, "😀", "\u200b")])}
    shipped, own = model.answer(columns).scores, fitted.scores(columns)
    for one_row, other in zip(shipped, own, strict=True):
        np.testing.assert_allclose(one_row, other, atol=1e-5)


def test_bundles_read_the_same_alone_and_among_others(fitted):
    one = tagged()
    model = TagModel(fitted.export(), one.task, one.schema, threads=1)
    together = model.answer(one.valid.columns)
    for row in range(5):
        alone = model.row({"words": one.valid.columns["words"][row]})
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-6)
        assert alone.decided[0].tolist() == together.decided[row].tolist()


def test_the_constant_model_names_nothing():
    one = tagged()
    made = Constant().fit(Plan(), one.train, None, one.work, Watch())
    answer = answer_of(one.task, made.scores(one.valid.columns))
    assert not any(tags.any() for tags in answer.decided)
    assert metric("entity_f1").measure(one.task, one.valid.target, answer) == 0.0


def test_features_that_stand_nowhere_often_are_refused():
    one = tagged()
    with pytest.raises(DataUnfit, match="lower `least`"):
        TokenLinear().fit(Plan(settings=Settings(least=20)), one.train.take(np.arange(2)), None, one.work, Watch())


@pytest.mark.parametrize("name", ["lightgbm", "tfidf-linear", "mlp"])
def test_learners_of_tables_refuse_tags_with_a_sentence(name):
    from steelyard.search.fitting import refusal_of

    one = tagged()
    refusal = refusal_of(learners().get(name), one.task, one.schema)
    assert refusal is not None
    assert "tagging" in refusal.sentence


def test_taggers_refuse_what_is_no_tagging_of_one_column():
    learner, one, other = TokenLinear(), tagged(), scene("text", Problem.BINARY)
    assert learner.accepts(other.task, other.schema) is not None
    wide = Schema((*one.schema.columns, Column(name="age", kind=Kind.NUMBER)))
    assert "'age'" in learner.accepts(one.task, wide).sentence


def test_the_deadline_leaves_usable_weights_and_a_note():
    one, late = tagged(), Watch(seconds=0.0)
    made = TokenLinear().fit(PLAN, one.train, None, one.work, late)
    assert any("deadline" in note for note in late.notes)
    assert all(np.isfinite(row).all() for row in made.scores(one.valid.columns))


def test_tags_without_entities_are_learned_too():
    task = Task(problem=Problem.TAGGING, target="pos", aim="token_accuracy", classes=("NOUN", "VERB"))
    schema = Schema((Column(name="words", kind=Kind.TOKENS),))
    one = tagged().train
    verbs = {"sleeps", "met"}
    tags = objects(np.array([int(t in verbs) for t in tokens], np.int64) for tokens in one.columns["words"])
    split = type(one)({"words": one.columns["words"]}, tags, one.rows)
    made = TokenLinear().fit(PLAN, split, None, Work(task=task, schema=schema), Watch())
    answer = answer_of(task, made.scores(split.columns))
    assert metric("token_accuracy").measure(task, tags, answer) > 0.99


def test_masks_and_features_have_a_place_for_rows_without_a_token():
    columns = {"words": objects([(), ("a", "b")])}
    for name, inputs, options, files in (
        ("token-mask", ("m",), {}, {}),
        ("token-features", ("i", "m"), {"vocabulary": "v"}, {"v": b'["w=a"]'}),
        ("token-chars", ("w", "c", "l", "m"), {"vocabulary": "v"}, {"v": b'{"words": ["a"], "characters": ["a"]}'}),
    ):
        from steelyard.contracts import Feed

        extract = FRONT_ENDS[name](Feed(name, inputs, ("words",), options), files)
        many = extract(columns)
        assert many["m"].tolist() == [[0.0, 0.0], [1.0, 1.0]]
        for row, cell in enumerate(columns["words"]):
            alone = extract.row({"words": cell})
            for key, tensor in alone.items():
                np.testing.assert_array_equal(tensor[0, : max(1, len(cell))], many[key][row, : max(1, len(cell))])
