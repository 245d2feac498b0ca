"""The suite for bundles: every kind passes it, and each check is proved by a saboteur that must fail it."""

import re

import numpy as np
import pytest
from onnx import helper

from steelyard.bundle import load, opening
from steelyard.contracts import Answer
from steelyard.testing import bundles
from steelyard.testing.bundles import Subject, check_bundle, rows_for, yield_checks


def test_every_kind_of_bundle_passes_the_suite(folder):
    check_bundle(folder)


def test_rows_of_your_own_are_used(ready):
    check_bundle(ready["numbers"], [{"age": 3}, {"age": "40"}])


class Wrapped:
    """A bundle that misbehaves in one way."""

    def __init__(self, bundle):
        self._bundle = bundle

    def __getattr__(self, name):
        return getattr(self._bundle, name)


class RandomScores(Wrapped):
    def answer_rows(self, frame):
        answer = self._bundle.answer_rows(frame)
        return Answer(answer.scores + np.random.default_rng().normal(size=answer.scores.shape), answer.decided)


class Loud(Wrapped):
    def answer_rows(self, frame):
        answer = self._bundle.answer_rows(frame)
        return Answer(answer.scores * 2, answer.decided)


class StrangeClass(Wrapped):
    def answer_rows(self, frame):
        answer = self._bundle.answer_rows(frame)
        return Answer(answer.scores, answer.decided + 5)


class OtherRow(Wrapped):
    def answer_row(self, row):
        answer = self._bundle.answer_row(row)
        return Answer(answer.scores[:, ::-1], answer.decided)


class FirstIsSpecial(Wrapped):
    def answer_rows(self, frame):
        answer = self._bundle.answer_rows(frame)
        scores = answer.scores.copy()
        scores[:1] = 0.5
        return Answer(scores, answer.decided)


class FlatNothing(Wrapped):
    def answer_rows(self, frame):
        answer = self._bundle.answer_rows(frame)
        return answer if len(answer.decided) else Answer(np.empty(0), answer.decided)


class Forgiving(Wrapped):
    def answer_rows(self, frame):
        return self._bundle.answer_rows([{"age": 1.0, **row} for row in frame])


class Nameless(Wrapped):
    def answer_row(self, row):
        if "age" not in row:
            raise bundles.RowsRefused("something is missing")
        return self._bundle.answer_row(row)


class Curious(Wrapped):
    def answer_row(self, row):
        return self._bundle.answer_row({"age": 50.0} if "a column of nobody" in row else row)


class Strict(Wrapped):
    def answer_row(self, row):
        if row["age"] is None:
            raise bundles.RowsRefused("an age is needed")
        return self._bundle.answer_row(row)


class OtherGraph(Wrapped):
    def __init__(self, bundle, artefact):
        super().__init__(bundle)
        self.artefact = lambda: artefact


class MoreReads(Wrapped):
    @property
    def manifest(self):
        own = self._bundle.manifest
        named = own.signature.inputs[0].model_copy(update={"name": "secret"})
        return own.model_copy(update={"signature": own.signature.model_copy(update={"inputs": (named,)})})


SABOTEURS = {
    "check_the_card_says_what_is_known": (MoreReads, "does not list column 'secret'"),
    "check_answers_are_of_the_task": (Loud, "do not sum to one"),
    "check_a_row_is_answered_as_among_others": (OtherRow, "alone and among others differ"),
    "check_the_order_of_rows_does_not_matter": (FirstIsSpecial, "in order and in reverse differ"),
    "check_the_same_rows_get_the_same_answer": (RandomScores, "another answer the second time"),
    "check_threads_do_not_matter": (RandomScores, "one thread and two differ"),
    "check_no_rows_get_no_answers": (FlatNothing, "no rows got scores of shape"),
    "check_missing_and_unseen_cells_are_answered": (Strict, "missing or unseen cells got no answer"),
    "check_a_missing_column_is_named": (Forgiving, "rows without column 'age' were answered"),
    "check_extra_columns_are_ignored": (Curious, "an extra column differ"),
}


def subject_of(ready, saboteur=None):
    bundle = load(ready["numbers"])
    rows = rows_for(bundle.schema)
    return Subject(folder=ready["numbers"], bundle=saboteur(bundle) if saboteur else bundle, rows=rows)


@pytest.mark.parametrize("name", SABOTEURS)
def test_each_check_sees_its_saboteur(name, ready):
    saboteur, sentence = SABOTEURS[name]
    check = getattr(bundles, name)
    check(subject_of(ready))
    with pytest.raises(AssertionError, match=sentence):
        check(subject_of(ready, saboteur))


@pytest.mark.parametrize(
    ("saboteur", "check", "sentence"),
    [
        (StrangeClass, bundles.check_answers_are_of_the_task, "no class of the task"),
        (Nameless, bundles.check_a_missing_column_is_named, "does not name column 'age'"),
    ],
)
def test_checks_of_two_claims_see_the_second_saboteur(saboteur, check, sentence, ready):
    with pytest.raises(AssertionError, match=sentence):
        check(subject_of(ready, saboteur))


def test_a_loader_that_does_not_verify_is_seen(ready, monkeypatch):
    monkeypatch.setattr(opening.File, "of", classmethod(lambda cls, content: Anything()))
    with pytest.raises(AssertionError, match=r"a flipped byte in .* went unnoticed"):
        bundles.check_any_change_is_refused(subject_of(ready))


class Anything:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def test_an_artefact_of_another_model_is_seen(ready, make):
    subject = subject_of(ready, lambda bundle: OtherGraph(bundle, make.artefact(seed=9)))
    with pytest.raises(AssertionError, match="its artefact written anew differ"):
        bundles.check_its_artefact_is_the_whole_model(subject)


@pytest.mark.parametrize(("name", "content"), [("model.pkl", b"x"), ("weights.bin", b"\x80\x04\x95")])
def test_code_in_a_bundle_is_seen(name, content, copy):
    folder = copy("numbers")
    subject = Subject(folder=folder, bundle=load(folder), rows=[])
    (folder / name).write_bytes(content)
    with pytest.raises(AssertionError, match=re.escape(name)):
        bundles.check_it_holds_no_code(subject)


def test_every_check_has_a_saboteur(ready):
    seen = set(SABOTEURS) | {
        "check_any_change_is_refused",
        "check_its_artefact_is_the_whole_model",
        "check_it_holds_no_code",
    }
    assert {check.__name__ for check in yield_checks(subject_of(ready))} == seen


def test_a_graph_that_looks_at_other_rows_fails_the_suite(make, tmp_path):
    extra = [
        helper.make_node("ReduceMean", ["linear"], ["mean"]),
        helper.make_node("Sub", ["linear", "mean"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "mean"], ["mixed"]),
        helper.make_node("Softmax", ["mixed"], ["scores"], axis=1),
    ]
    folder = make.write(tmp_path / "b", make.artefact(extra=extra))
    with pytest.raises(AssertionError, match="alone and among others differ"):
        check_bundle(folder)


def test_a_graph_that_throws_dice_fails_the_suite(make, tmp_path):
    extra = [
        helper.make_node("RandomNormalLike", ["linear"], ["noise"]),
        helper.make_node("Add", ["linear", "noise"], ["noisy"]),
        helper.make_node("Softmax", ["noisy"], ["scores"], axis=1),
    ]
    folder = make.write(tmp_path / "b", make.artefact(extra=extra))
    with pytest.raises(AssertionError, match="differ by"):
        check_bundle(folder)
