"""Subsets of the training rows: inside each other, of every class, and never a row that is scored."""

import numpy as np
import pytest

from steelyard.advise.subsets import Site, measured, score_of, subset
from steelyard.contracts import Answer
from steelyard.recipe import Train
from steelyard.search.store import Store


@pytest.fixture
def site(made):
    return Site(Store(made).dataset(), made)


def test_larger_subsets_hold_smaller_ones_and_every_class(site):
    fit = site.dataset.partition.parts[0].fit
    small, large = (subset(site.dataset, fit, share, 3) for share in (0.1, 0.4))
    assert set(small) < set(large) < set(fit)
    assert len(large) == pytest.approx(0.4 * len(fit), abs=2)
    whole, some = (np.bincount(site.dataset.rows.target[rows]) / len(rows) for rows in (fit, large))
    assert some == pytest.approx(whole, abs=0.02)
    assert set(subset(site.dataset, fit, 0.1, 4)) != set(small)
    assert subset(site.dataset, fit, 1.0, 3) is fit


def test_a_training_on_a_share_sees_no_other_rows_and_is_scored_on_all(site, monkeypatch):
    from steelyard.learners._linear import Linear

    seen, fit = [], Linear.fit

    def spy(self, plan, train, valid, *rest):
        seen.append((len(train), set(train.rows) | set(() if valid is None else valid.rows)))
        return fit(self, plan, train, valid, *rest)

    monkeypatch.setattr(Linear, "fit", spy)
    parts = site.dataset.partition.parts
    point = measured(site, Train(learner="linear"), 0.5, 0)
    assert len(seen) == len(parts)
    for (count, rows), part in zip(seen, parts, strict=True):
        assert count == pytest.approx(0.5 * len(part.fit), abs=2)
        assert not rows & set(site.dataset.rows.rows[part.score])
    assert point.rows == pytest.approx(np.mean([len(rows) for _, rows in seen]), abs=1)
    assert point.seconds > 0


def test_all_rows_score_what_the_trial_scored(site, made):
    from steelyard.api import open_run

    trial = next(t for t in open_run(made).record.trials if t.recipe == Train(learner="linear"))
    point = measured(site, Train(learner="linear"), 1.0, 0)
    assert point.score == pytest.approx(trial.validation[site.dataset.task.aim].value, rel=0.02)


def test_errors_that_are_better_low_count_as_better_high(site):
    from dataclasses import replace

    held = site.dataset.partition.validation
    target = site.dataset.rows.target[held]
    scores = np.full((len(held), 2), 0.5)
    task = replace(site.dataset.task, aim="log_loss")
    dataset = replace(site.dataset, task=task)
    sure = np.where(np.eye(2)[target] > 0, 0.9, 0.1)
    one, other = (score_of(dataset, held, Answer(s, s.argmax(axis=1))) for s in (sure, scores))
    assert 0 > one > other
