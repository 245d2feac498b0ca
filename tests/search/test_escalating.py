"""Which models answer where, what the device passes on, and how good the mix is: on rows that the cut did not see."""

import numpy as np
import pytest

from steelyard.contracts import Answer
from steelyard.data import load
from steelyard.decide import Candidate, Decision
from steelyard.recipe import Train
from steelyard.search.escalating import Chosen, escalated, models
from steelyard.spec import Quality, Spec
from steelyard.tasks import metric
from steelyard.units import Estimate

SPEC = Spec(data="sklearn:breast_cancer", target="target", quality=Quality(metric="accuracy", tolerance=0.05))
ACCURACY = metric("accuracy")


@pytest.fixture(scope="module")
def dataset():
    return load(SPEC)


class Answers:
    """A store that holds nothing but answers."""

    def __init__(self, **by_learner):
        self.by_learner = by_learner

    def answers(self, recipe):
        return self.by_learner[recipe.learner]


def candidate(number, learner, quality, ms):
    one = Estimate(quality, quality - 0.01, quality + 0.01)
    cost = Estimate.exact(1.0)
    return Candidate(
        number=number,
        recipe=Train(learner=learner),
        quality=one,
        p95=Estimate.exact(ms, unit="ms"),
        cost_per_million=cost,
        size_bytes=1000,
    )


def decided(number, rejected=()):
    return Decision(number=number, feasible=True, reasons=(), rejected=dict.fromkeys(rejected, "no"))


CHEAP, DEAR = candidate(1, "cheap", 0.9, 1.0), candidate(2, "dear", 0.97, 10.0)


def answer(truth, wrong, sure):
    """Answer ``truth`` but for the rows ``wrong``, each as surely as it is told."""
    said = np.where(wrong, 1 - truth, truth)
    scores = np.empty((len(truth), 2))
    scores[np.arange(len(truth)), said] = (1 + sure) / 2
    scores[np.arange(len(truth)), 1 - said] = (1 - sure) / 2
    return Answer(scores=scores, decided=said)


def of(dataset, spec=SPEC, *, hard=0.15, errs=0.4, blind=False):
    """Return what is passed on by a cheap model that is unsure of hard rows, and errs on some of those alone."""
    rng, scored = np.random.default_rng(1), dataset.partition.scored
    truth = np.asarray(dataset.rows.take(scored).target)
    unsure = rng.uniform(size=len(truth)) < hard
    wrong = unsure & (rng.uniform(size=len(truth)) < errs)
    sure = np.where(unsure & ~np.full(len(truth), blind), rng.uniform(0.05, 0.2, len(truth)), 0.99)
    store = Answers(
        cheap=answer(truth, wrong, sure), dear=answer(truth, np.zeros(len(truth), bool), 0.99 * np.ones(len(truth)))
    )
    chosen = models([CHEAP, DEAR], decided(1), ACCURACY, {1, 2})
    return escalated(chosen, spec, dataset, store), unsure.mean(), wrong.mean()


def test_unsure_rows_are_passed_on_and_the_mix_is_as_good_as_promised(dataset):
    found, unsure, wrong = of(dataset)
    share = found["escalated"]
    assert share["low"] <= share["share"] <= share["high"]
    assert 0 < share["share"] <= unsure + 0.05
    front, server, mixed = (found["quality"][way]["accuracy"]["value"] for way in ("front", "server", "cascade"))
    assert front == pytest.approx(1 - wrong, abs=0.03)
    assert server == 1.0
    assert mixed > front
    assert mixed >= server - SPEC.quality.tolerance
    assert found["promise"]["lost_at_most"] == 0.05


def test_a_model_that_errs_where_it_is_sure_is_not_let_answer(dataset):
    found, _, _ = of(dataset, hard=0.4, blind=True)
    assert found["front"] is None
    assert "there is no sureness from which the device loses at most 0.05" in found["why"]
    assert "raise quality.tolerance" in found["why"]


def test_too_little_tolerance_for_the_rows_is_said(dataset):
    spec = SPEC.model_copy(update={"quality": Quality(metric="accuracy", tolerance=0.0001)})
    found, _, _ = of(dataset, spec)
    assert found["front"] is None
    assert "cannot be promised on 456 calibration rows" in found["why"]


def test_the_share_is_told_of_rows_that_the_cut_was_not_fitted_on(dataset, monkeypatch):
    seen = []
    import steelyard.search.escalating as module

    fitted = module._fitted
    monkeypatch.setattr(
        module, "_fitted", lambda answers, known, *rest: seen.append(known.sum()) or fitted(answers, known, *rest)
    )
    of(dataset)
    whole = len(dataset.partition.scored)
    assert seen[0] == whole
    assert len(seen) == 1 + 5
    assert sum(whole - count for count in seen[1:]) == len(dataset.partition.validation)


def test_the_server_has_the_best_model_and_the_device_what_was_decided():
    chosen = models([CHEAP, DEAR], decided(1), ACCURACY, {1})
    assert (chosen.edge, chosen.server, chosen.front) == (CHEAP, DEAR, CHEAP)


def test_where_both_would_be_the_same_a_much_faster_model_goes_first():
    near = candidate(3, "near", 0.96, 8.0)
    chosen = models([CHEAP, near, DEAR], decided(2), ACCURACY, {1, 2, 3})
    assert (chosen.edge, chosen.server, chosen.front) == (DEAR, DEAR, CHEAP)
    assert models([CHEAP, near, DEAR], decided(2), ACCURACY, {2, 3}).front is None
    assert models([near, DEAR], decided(2), ACCURACY, {2, 3}).front is None


def test_a_rejected_model_is_not_served():
    best = candidate(4, "best", 0.99, 20.0)
    assert models([CHEAP, DEAR, best], decided(1, rejected=[4]), ACCURACY, {1}).server is DEAR


def test_numbers_are_not_passed_on():
    spec = Spec(data="sklearn:diabetes", target="target")
    found = escalated(Chosen(edge=CHEAP, server=DEAR, front=CHEAP), spec, load(spec), Answers())
    assert found["front"] is None
    assert "does not say how sure it is" in found["why"]
