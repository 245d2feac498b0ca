"""Join models that read different columns: the weighted sum of what each says, fitted on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from steelyard.bundle.scores import FAINT
from steelyard.contracts import Context, Evidence, Floats, Move, Prior, Problem, Rule, Space, Stage, Trial, Work
from steelyard.errors import need
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training.parts import modality_of
from steelyard.recipe import Combine, Plan, Recipe, Settings, Train, parents

MOST = 6
"""Members at most."""
PULL = 1e-3
"""Penalty on the squared distance of the weights from 1 / members, so that members who say the same share it."""
MOST_STEPS = 200
Loss = Callable[[Floats], tuple[float, Floats]]
"""The loss of a point, and its gradient."""


class Stack:
    """Weighs members whose columns differ by a regression on their answers.

    Probabilities are joined by their logarithms, so that two members who know different things are surer together than
    either is alone, where a mean would lie between them. With weights of 1 that is Bayes' rule for columns that are
    independent given the class; the fit makes weights smaller where they are not. Values are joined by a linear
    regression. No weight is negative (Breiman: stacked regressions).
    """

    name = "stack"
    stage = Stage.COMBINING
    paper = (
        "Wolpert: Stacked Generalization. Neural Networks 1992, doi:10.1016/S0893-6080(05)80023-1; Breiman: Stacked "
        "Regressions. Machine Learning 1996, doi:10.1007/BF00117832; Genest, Zidek: Combining Probability "
        "Distributions. Statistical Science 1986, doi:10.1214/ss/1177013825"
    )
    about = "Joins models that read different columns (images and numbers): what both know counts twice."
    fits_on = "validation"
    needs_rows = 100
    space = Space({})

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose the best training of each modality, where there is more than one."""
        members = _members(context)
        if len(members) < 2 or members[0].number != trial.number:
            return
        recipe = Combine(lever=self.name, parents=tuple(member.recipe for member in members))
        if any(_holds(known, recipe) for known in (t.recipe for t in context.trials)):
            return
        bring = gain(0.2, 0.0, 0.6, "models that read different columns know different things")
        why = f"joins the best models of {len(members)} different sets of columns"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "pool", "weights": [...], "offsets": [...]}``: a weight a member, an offset a class.

        Raises
        ------
        LeverRefused
            If rows are too few.
        SettingsRefused
            If a setting is given: there is none.
        """
        settings_of(self.name, self.space, Plan(settings=settings))
        rows, task = len(evidence.target), work.task
        if rows < self.needs_rows:
            raise LeverRefused(
                f"stack needs {self.needs_rows} validation rows to weigh its members, there are {rows}; give more "
                "rows, or leave it out with `levers: {without: [stack]}`"
            )
        shares = np.ones(rows) if evidence.weights is None else evidence.weights
        shares = shares / shares.sum()
        scores = np.stack([answer.scores for answer in evidence.answers])
        if task.problem is Problem.REGRESSION:
            weights, offsets = _line(scores[:, :, 0], evidence.target, shares)
        else:
            weights, offsets = _odds(np.log(np.maximum(scores, FAINT)), evidence.target, shares)
        if not max(weights) > 0:
            raise LeverRefused("stack found no member worth any weight on these rows; the best one alone is better")
        return {"rule": "pool", "weights": weights, "offsets": offsets}


def _members(context: Context) -> list[Trial]:
    """Return the best training of each modality: of learners that read every column, and of those that read some."""
    found: dict[tuple[str, ...] | None, Trial] = {}
    for trial in ranked(trained(context.trials), context.task):
        if isinstance(trial.recipe, Train) and not is_constant(trial.recipe):
            found.setdefault(modality_of(trial.recipe.plan), trial)
    return list(found.values())[:MOST]


def _holds(known: Recipe, asked: Combine) -> bool:
    return ends_with(known, Stack.name) and set(parents(asked)) <= set(parents(known))


def _line(values: Floats, target: Floats, shares: Floats) -> tuple[list[float], list[float]]:
    """Return weights, shape (members,), and the one offset of the least squares; all in the target's unit."""
    centre = float(shares @ target)
    spread = math.sqrt(float(shares @ (target - centre) ** 2)) or 1.0
    inputs = (values - centre) / spread
    wanted = (target - centre) / spread

    def loss(point: Floats) -> tuple[float, Floats]:
        off = point[:-1] @ inputs + point[-1] - wanted
        return float(shares @ off**2) / 2, np.append(inputs @ (shares * off), shares @ off)

    weights, (offset,) = _least(loss, members=len(values), offsets=1)
    return weights, [offset * spread + centre * (1 - sum(weights))]


def _odds(logs: Floats, target: Floats, shares: Floats) -> tuple[list[float], list[float]]:
    """Return weights, shape (members,), and offsets, shape (classes,), of the least log loss; logs (members, n, k)."""
    members, rows, classes = logs.shape
    chosen = np.arange(rows), np.asarray(target, dtype=np.int64)

    def loss(point: Floats) -> tuple[float, Floats]:
        sums = np.tensordot(point[:members], logs, 1) + point[members:]
        sums -= sums.max(axis=1, keepdims=True)
        odds = np.exp(sums)
        total = odds.sum(axis=1, keepdims=True)
        pulls = odds / total
        mean = float(shares @ (np.log(total[:, 0]) - sums[chosen]))
        pulls[chosen] -= 1
        pulls *= shares[:, None]
        return mean, np.concatenate([np.tensordot(logs, pulls, ([1, 2], [0, 1])), pulls.sum(axis=0)])

    return _least(loss, members=members, offsets=classes)


def _least(loss: Loss, *, members: int, offsets: int) -> tuple[list[float], list[float]]:
    """Minimise a loss with a slight pull of weights to 1 / members and of offsets to 0; no weight below 0."""
    at = np.concatenate([np.full(members, 1 / members), np.zeros(offsets)])

    def pulled(point: Floats) -> tuple[float, Floats]:
        value, gradient = loss(point)
        return value + PULL / 2 * float(((point - at) ** 2).sum()), gradient + PULL * (point - at)

    bounds = [(0.0, None)] * members + [(None, None)] * offsets
    found = need("scipy.optimize", for_="stack").minimize(
        pulled, at, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_STEPS}
    )
    weights, rest = found.x[:members], found.x[members:]
    return [float(w) for w in weights], [float(b) for b in rest]
