"""Tags are decided on as whole rows: always consistent, and the most probable of all that are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from steelyard.bundle.rules import apply_rule, check_rule
from steelyard.bundle.tags import decode
from steelyard.contracts import Answer, Problem, Task
from steelyard.contracts.ragged import batches, parted
from steelyard.data.coerce import objects
from steelyard.errors import BundleRefused
from steelyard.tasks.entities import entities_of

CLASSES = ("O", "B-loc", "I-loc", "B-per", "I-per")
TASK = Task(problem=Problem.TAGGING, target="tags", aim="entity_f1", classes=CLASSES)


def drawn(rng, lengths):
    scores = rng.dirichlet(np.full(len(CLASSES), 0.4), sum(lengths))
    return parted(scores, np.array(lengths))


def is_consistent(codes):
    names = [CLASSES[code] for code in codes]
    return all(
        tag[:1] != "I" or (before[:1] in {"B", "I"} and before[2:] == tag[2:])
        for before, tag in itertools.pairwise(["O", *names])
    )


def test_every_row_is_consistent_and_none_that_is_would_be_more_probable():
    scores = drawn(np.random.default_rng(1), [1, 2, 3, 4, 4, 3, 2, 1] * 8)
    decided = decode(CLASSES, scores)
    for own, row in zip(decided, scores, strict=True):
        assert is_consistent(own)
        every = itertools.product(range(len(CLASSES)), repeat=len(row))
        best = max(np.prod(row[np.arange(len(row)), list(codes)]) for codes in every if is_consistent(codes))
        assert np.prod(row[np.arange(len(row)), own]) == pytest.approx(best)


def test_long_rows_are_consistent_too_and_empty_ones_stay_empty():
    decided = decode(CLASSES, drawn(np.random.default_rng(2), [300, 0, 41]))
    assert [len(row) for row in decided] == [300, 0, 41]
    assert all(map(is_consistent, decided))


def test_tags_that_spell_no_entities_are_taken_one_by_one():
    scores = drawn(np.random.default_rng(3), [20])
    own = decode(("ADJ", "ADV", "INTJ", "NOUN", "VERB"), scores)[0]
    assert own.tolist() == scores[0].argmax(axis=1).tolist()


def test_a_blend_averages_token_by_token_and_decides_anew():
    rng = np.random.default_rng(4)
    one, other = (Answer(s, decode(CLASSES, s)) for s in (drawn(rng, [3, 5]), drawn(rng, [3, 5])))
    blend = apply_rule({"rule": "blend", "weights": [1, 3]}, [one, other], TASK)
    for row in range(2):
        np.testing.assert_allclose(blend.scores[row], 0.25 * one.scores[row] + 0.75 * other.scores[row])
    assert [d.tolist() for d in blend.decided] == [d.tolist() for d in decode(CLASSES, blend.scores)]


@pytest.mark.parametrize(
    ("rule", "members"),
    [
        ({"rule": "threshold", "positive": 1, "at": 0.5}, 1),
        ({"rule": "temperature", "at": 2.0}, 1),
        ({"rule": "isotonic", "curves": []}, 1),
        ({"rule": "cascade", "measure": "margin", "at": 0.5}, 2),
        ({"rule": "line", "plus": 0.0, "times": 1.0}, 1),
    ],
)
def test_rules_on_one_class_a_row_are_refused(rule, members):
    with pytest.raises(BundleRefused, match="tagging"):
        check_rule(rule, members, TASK)


def test_an_entity_is_told_with_its_place_text_and_least_sure_tag():
    scores = np.array([[0.1, 0.9, 0, 0, 0], [0.4, 0, 0.6, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]])
    found = entities_of(("New", "York", "met", "Ann"), ("B-loc", "I-loc", "O", "B-per"), scores, [1, 2, 0, 3])
    assert [(e.start, e.end, e.type, e.text, e.probability) for e in found] == [
        (0, 2, "loc", "New York", 0.6),
        (3, 4, "per", "Ann", 1.0),
    ]


def test_batches_hold_every_row_once_and_few_padded_tokens():
    lengths = np.random.default_rng(5).integers(0, 50, 300)
    made = list(batches(lengths, cells=200))
    assert sorted(np.concatenate(made).tolist()) == list(range(300))
    assert all(len(rows) * max(1, lengths[rows].max()) <= 200 or len(rows) == 1 for rows in made)
    assert [rows.tolist() for rows in batches(np.array([10_000]), cells=200)] == [[0]]


def test_decoding_depends_on_no_other_row():
    scores = drawn(np.random.default_rng(6), [4, 7, 2])
    together = decode(CLASSES, scores)
    for row in range(3):
        assert decode(CLASSES, objects([scores[row]]))[0].tolist() == together[row].tolist()
