"""The promises of calibration, kept over many draws of real rows; and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.scores import sureness
from steelyard.contracts import Answer, Evidence, Problem, Task
from steelyard.errors import DataUnfit, RequestInvalid
from steelyard.escalate import against_another, for_persons
from steelyard.escalate.calibrate import check_measure


@pytest.fixture(scope="session")
def answers(world):
    return world.cheap.answer_rows(world.rows), world.dear.answer_rows(world.rows)


def some(answer, index):
    return Answer(answer.scores[index], answer.decided[index])


def lost(world, answers, found):
    """Return what the rule loses in accuracy against the strong bundle on all rows, which stand for the population."""
    cheap, dear = answers
    keeps = sureness("margin", cheap.scores, world.task) >= found.rule.at
    wrong = np.where(keeps, cheap.decided, dear.decided) != world.y
    return wrong.mean() - (dear.decided != world.y).mean()


@pytest.mark.parametrize("confidence", [0.95, 0.7])
def test_against_another_model_no_more_is_lost_than_promised_in_as_many_draws_as_it_says(world, answers, confidence):
    random, draws, broken, shares = np.random.default_rng(1), 200, 0, []
    for _ in range(draws):
        index = random.integers(0, len(world.y), 600)
        evidence = Evidence((some(answers[0], index), some(answers[1], index)), world.y[index])
        found = against_another(world.task, evidence, measure="margin", tolerance=0.02, confidence=confidence)
        broken += lost(world, answers, found) > 0.02
        shares.append(found.escalated.share)
    doubt = 1 - confidence
    assert broken / draws <= doubt + 3 * np.sqrt(doubt * (1 - doubt) / draws)
    assert np.mean(shares) < 0.6


def test_for_persons_the_kept_rows_are_wrong_no_more_often_than_promised(world, answers):
    random, draws, broken, found_any = np.random.default_rng(2), 300, 0, 0
    sure = sureness("margin", answers[0].scores, world.task)
    wrong = answers[0].decided != world.y
    for _ in range(draws):
        index = random.integers(0, len(world.y), 600)
        cheap = some(answers[0], index)
        try:
            found = for_persons(world.task, cheap, world.y[index], measure="margin", limit=0.04, confidence=0.95)
        except DataUnfit:
            continue
        found_any += 1
        broken += wrong[sure >= found.rule.at].mean() > 0.04
        assert found.escalated.share == pytest.approx((sure[index] < found.rule.at).mean())
    assert found_any > 0.7 * draws
    assert broken / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_of_the_same_model_everything_is_kept(world, answers):
    evidence = Evidence((answers[1], answers[1]), world.y)
    found = against_another(world.task, evidence, measure="margin", tolerance=0.02, confidence=0.95)
    assert (found.rule.at, found.escalated.share, found.escalated.low) == (0.0, 0.0, 0.0)
    assert 0 < found.escalated.high < 0.01


def test_too_few_rows_are_refused_with_the_number_that_is_needed(world, answers):
    few = Evidence((some(answers[0], slice(100)), some(answers[1], slice(100))), world.y[:100])
    with pytest.raises(DataUnfit, match="needs 408 labelled rows to be promised with 95% confidence, there are 100"):
        against_another(world.task, few, measure="margin", tolerance=0.01, confidence=0.95)
    with pytest.raises(DataUnfit, match=r"need 86 labelled rows .* there are 50"):
        for_persons(
            world.task, some(answers[0], slice(50)), world.y[:50], measure="margin", limit=0.05, confidence=0.95
        )
    wrong = replace(answers[0], decided=(answers[0].decided + 1) % 10)
    with pytest.raises(DataUnfit, match="no sureness from which at most"):
        for_persons(world.task, wrong, world.y, measure="margin", limit=0.05, confidence=0.95)


def test_what_no_promise_can_be_made_about_is_refused(world, answers):
    evidence = Evidence(answers, world.y)
    with pytest.raises(DataUnfit, match="nothing can be promised about ece"):
        against_another(replace(world.task, aim="ece"), evidence, measure="margin", tolerance=0.01, confidence=0.95)
    with pytest.raises(RequestInvalid, match="is a number"):
        check_measure("margin", Task(problem=Problem.REGRESSION, target="y", aim="rmse"))
    with pytest.raises(RequestInvalid, match="does not know what decisions are worth"):
        check_measure("worth", world.task)
