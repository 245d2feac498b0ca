"""The figures of entities are seqeval's, on any tags and any resample."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task
from steelyard.data.coerce import objects
from steelyard.tasks import MetricUnfit, default_aim, metric, metrics_for
from steelyard.tasks.spans import as_iob2, spans_of, spells_entities

CLASSES = ("O", "B-loc", "I-loc", "B-per", "I-per")
TASK = Task(problem=Problem.TAGGING, target="tags", aim="entity_f1", classes=CLASSES)


def coded(rows):
    return objects(np.array([CLASSES.index(tag) for tag in row], np.int64) for row in rows)


def answer(rows):
    decided = coded(rows)
    return Answer(objects(np.eye(len(CLASSES))[codes] for codes in decided), decided)


def drawn(rng, rows, longest=9):
    return [
        rng.choice(CLASSES, rng.integers(1, longest), p=(0.4, 0.15, 0.15, 0.15, 0.15)).tolist() for _ in range(rows)
    ]


def seqeval(name, true, own):
    metrics = pytest.importorskip("seqeval.metrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(
            metrics, {"entity_f1": "f1_score", "token_accuracy": "accuracy_score"}.get(name, f"{name[7:]}_score")
        )(true, own)


@pytest.mark.parametrize("name", ["entity_f1", "entity_precision", "entity_recall", "token_accuracy"])
def test_a_figure_is_that_of_seqeval_though_tags_be_in_disorder(name):
    rng = np.random.default_rng(3)
    for _ in range(40):
        true = drawn(rng, 6)
        own = [rng.choice([*CLASSES, *row], len(row)).tolist() for row in true]
        assert metric(name).measure(TASK, coded(true), answer(own)) == pytest.approx(seqeval(name, true, own))


def test_the_figure_of_a_resample_is_that_of_the_rows_in_it_as_often_as_they_are_drawn():
    rng = np.random.default_rng(5)
    true, own = drawn(rng, 8), drawn(np.random.default_rng(5), 8)
    own = [[*row[:-1], "O"] for row in own]
    counts = rng.integers(0, 3, (20, 8)).astype(np.float64)
    for name in ("entity_f1", "token_accuracy"):
        figures = metric(name).resample(TASK, coded(true), answer(own), counts)
        for figure, times in zip(figures, counts.astype(int), strict=True):
            picked = np.repeat(np.arange(8), times)
            again = seqeval(name, [true[i] for i in picked], [own[i] for i in picked])
            assert figure == pytest.approx(again)


def test_worked_by_hand():
    true = [["B-per", "I-per", "O", "B-loc"], ["B-loc", "I-loc", "O", "O"]]
    own = [["B-per", "I-per", "O", "B-per"], ["B-loc", "O", "O", "B-per"]]  # 1 of 4 predicted is there, of 3 that are
    found = {each.name: each.measure(TASK, coded(true), answer(own)) for each in metrics_for(TASK)}
    assert found == pytest.approx(
        {"entity_f1": 2 / 7, "entity_precision": 1 / 4, "entity_recall": 1 / 3, "token_accuracy": 5 / 8}
    )


def test_who_finds_nothing_has_no_precision_and_an_f1_of_nought():
    true, own = coded([["B-per", "O"]]), answer([["O", "O"]])
    assert np.isnan(metric("entity_precision").measure(TASK, true, own))
    assert metric("entity_f1").measure(TASK, true, own) == 0.0
    assert np.isnan(metric("entity_f1").measure(TASK, coded([["O", "O"]]), own))


def test_an_entity_ends_where_its_row_does():
    true = [["O", "B-loc"], ["I-loc", "O"]]  # the second begins a row, so it begins an entity
    assert metric("entity_recall").measure(TASK, coded(true), answer([["O", "B-loc"], ["O", "O"]])) == 0.5


def test_rows_without_tokens_count_for_nothing():
    true, own = [[], ["B-loc"], []], [[], ["B-loc"], []]
    assert metric("entity_f1").measure(TASK, coded(true), answer(own)) == 1.0
    assert metric("token_accuracy").measure(TASK, coded(true), answer(own)) == 1.0


def test_tags_that_spell_no_entities_have_no_figure_of_entities():
    task = Task(problem=Problem.TAGGING, target="tags", aim="token_accuracy", classes=("ADJ", "NOUN"))
    assert [each.name for each in metrics_for(task)] == ["token_accuracy"]
    with pytest.raises(MetricUnfit, match="token_accuracy"):
        metric("entity_f1", task)
    assert default_aim(Problem.TAGGING) == "entity_f1"


@pytest.mark.parametrize(
    ("tags", "iob2"),
    [
        (["I-per", "I-per", "B-per", "O"], ["B-per", "I-per", "B-per", "O"]),  # IOB1
        (["B-per", "I-per", "E-per", "S-loc"], ["B-per", "I-per", "I-per", "B-loc"]),  # IOBES
        (["B-per", "L-per", "U-per"], ["B-per", "I-per", "B-per"]),  # BILOU
        (["O", "I-per", "I-loc"], ["O", "B-per", "B-loc"]),  # none
        (["B", "I", "O", "B"], ["B", "I", "O", "B"]),  # entities of one kind
    ],
)
def test_every_scheme_is_read_as_iob2_with_the_same_entities(tags, iob2):
    assert as_iob2(tags) == iob2
    assert spans_of(as_iob2(tags)) == spans_of(tags)


def test_parts_of_speech_spell_no_entities():
    assert not spells_entities(["NN", "IN", "O"])
    assert not spells_entities(["BE", "I-per"])
