"""The threshold of entities is the one whose F1 is best on rows like those it was chosen on."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule, check_rule
from steelyard.contracts import Evidence, Problem, Schema, Task, Work
from steelyard.data.coerce import objects
from steelyard.levers import LeverRefused
from steelyard.levers.combining._entity_threshold import GRID, EntityThreshold
from steelyard.recipe import Settings
from steelyard.tasks import metric

TASK = Task(problem=Problem.TAGGING, target="tags", aim="entity_f1", classes=("O", "B-x", "I-x"))


def rows(count, seed, timid=0.3):
    """Rows in which one token in ten begins an entity; a model ranks tokens well, and gives them too little."""
    rng = np.random.default_rng(seed)
    scores, tags = [], []
    for _ in range(count):
        true = rng.random(8) < 0.1
        chance = timid * np.clip(np.where(true, rng.beta(5, 2, 8), rng.beta(1, 6, 8)), 0.01, 0.99)
        scores.append(np.column_stack([1 - chance, chance, np.zeros(8)]))
        tags.append(true.astype(np.int64))
    return objects(scores), objects(tags)


def evidence(scores, tags):
    return Evidence((answer_of(TASK, scores),), tags)


def work(task=TASK):
    return Work(task=task, schema=Schema(()))


def test_a_timid_model_finds_more_on_rows_that_it_was_not_fitted_on():
    scores, tags = rows(200, 0)
    rule = EntityThreshold().fit(evidence(scores, tags), Settings(), work())
    check_rule(rule, 1, TASK)
    assert rule["chosen"]["low"] <= rule["times"] <= rule["chosen"]["high"]
    assert rule["times"] < 0.6
    fresh, truth = rows(400, 1)
    plain = answer_of(TASK, fresh)
    cut = apply_rule(rule, [plain], TASK)
    before, after = (metric("entity_f1").measure(TASK, truth, each) for each in (plain, cut))
    assert after > before + 0.2
    best = max(
        metric("entity_f1").measure(TASK, truth, apply_rule({"rule": "outside", "times": t}, [plain], TASK))
        for t in GRID
    )
    assert after > best - 0.03


def test_the_same_rows_give_the_same_rule():
    one, other = (EntityThreshold().fit(evidence(*rows(80, 2)), Settings(), work()) for _ in range(2))
    assert one == other


def test_too_few_rows_or_entities_and_other_aims_are_refused():
    scores, tags = rows(80, 3)
    with pytest.raises(LeverRefused, match="20 entities"):
        EntityThreshold().fit(evidence(scores, objects(np.zeros_like(t) for t in tags)), Settings(), work())
    with pytest.raises(LeverRefused, match="50 calibration rows"):
        EntityThreshold().fit(evidence(scores[:30], tags[:30]), Settings(), work())
    task = Task(problem=Problem.TAGGING, target="tags", aim="token_accuracy", classes=TASK.classes)
    with pytest.raises(LeverRefused, match="nothing to choose by"):
        EntityThreshold().fit(evidence(scores, tags), Settings(), work(task))


def test_row_weights_count():
    scores, tags = rows(120, 4)
    timid, _ = rows(120, 4, timid=0.9)
    both = objects([*scores, *timid])
    answers = (answer_of(TASK, both),)
    target = objects([*tags, *tags])
    heavy = [
        EntityThreshold().fit(Evidence(answers, target, np.repeat(pair, 120)), Settings(), work())["times"]
        for pair in ([1.0, 0.001], [0.001, 1.0])
    ]
    assert heavy[0] < heavy[1]
