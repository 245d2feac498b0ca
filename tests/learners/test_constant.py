"""The constant model: shares of the classes, or the mean, whatever the row says."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Problem, Split
from steelyard.recipe import Plan
from steelyard.registry import learners


@pytest.mark.parametrize("weights", [None, np.array([3.0, 1.0, 1.0, 1.0])])
def test_it_answers_the_weighted_shares_of_the_classes(weights, table, serve, meter):
    work = table().work
    split = Split({"size": np.arange(4.0)}, np.array([0, 0, 0, 1]), np.arange(4), weights)
    scores = serve(learners().get("constant").fit(Plan(), split, None, work, meter).export(), {"size": np.zeros(3)})
    share = 1 / 4 if weights is None else 1 / 6
    np.testing.assert_allclose(scores, [[1 - share, share]] * 3, atol=1e-6)


def test_it_answers_the_mean(table, serve, meter):
    made = table(Problem.REGRESSION)
    fitted = learners().get("constant").fit(Plan(), made.train, None, made.work, meter)
    np.testing.assert_allclose(serve(fitted.export(), made.test.columns), made.train.target.mean(), rtol=1e-6)


@pytest.mark.parametrize("value", [((-1.0, -4.0),), ((-3.0, -1.0),)])
def test_where_errors_cost_money_it_answers_the_number_that_costs_least(value, table, serve, meter):
    made = table(Problem.REGRESSION)
    work = replace(made.work, task=replace(made.work.task, aim="value", value=value))
    fitted = learners().get("constant").fit(Plan(), made.train, None, work, meter)
    answer = float(serve(fitted.export(), made.test.columns)[0, 0])

    def cost(number):
        excess = number - made.train.target
        return -value[0][0] * np.maximum(excess, 0).sum() - value[0][1] * np.maximum(-excess, 0).sum()

    assert cost(answer) == pytest.approx(min(map(cost, made.train.target)), rel=1e-6)
    assert abs(answer - made.train.target.mean()) > 0.1 * made.train.target.std()
