"""Which rows to leave to persons where decisions have a value and a person has a price: those that return it.

A row goes to a person where the right decision is expected to bring more than the bundle's by more than the price: the
expected value of perfect information, against its cost. From which place on is chosen where it brought most on
labelled rows, so that probabilities that are a little off do not matter; what it brings is measured on rows that it
was not chosen on.

References
----------
.. [1] Chow. On optimum recognition error and reject tradeoff. IEEE Transactions on Information Theory, 1970.
.. [2] Howard. Information value theory. IEEE Transactions on Systems Science and Cybernetics, 1966.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import sureness
from steelyard.contracts import Answer, Floats, Task
from steelyard.escalate.calibrate import Calibrated, Mask
from steelyard.levers.combining.cuts import Ordered
from steelyard.measure.outcomes import best_of
from steelyard.measure.resampling import Bootstrap
from steelyard.promise import share_of
from steelyard.serve.escalation.plan import Cut, Escalated, Promise
from steelyard.tasks.money import DECISIONS, brought, widest
from steelyard.units import How

MEASURE = "regret"
GROUPS = 5
"""Of rows, each of which is judged by a place chosen on the others."""


@dataclass(frozen=True, slots=True)
class Persons:
    """What persons take for one decision, and how often they are right."""

    price: float
    accuracy: float


def for_value(
    task: Task, answer: Answer, target: NDArray[np.int64], persons: Persons, *, confidence: float
) -> tuple[Calibrated, dict[str, Any]]:
    """Choose which rows to leave to persons, and tell what a thousand decisions bring with and without.

    Parameters
    ----------
    task
        What outcomes are worth.
    answer, target
        What the bundle says of labelled rows, and what they are.
    persons
        A person who errs takes any of the other decisions alike.
    confidence
        Is noted beside the choice; the choice itself promises nothing.
    """
    now, right = brought(task, target, answer), best_of(task, target, answer.amounts)
    by_person = _by_person(task, answer, target, right, persons)
    sure = sureness(MEASURE, answer.scores, task, answer.amounts)
    believed = max(0.0, 1.0 - persons.price / widest(task))
    at, passed = _place(sure, by_person - now, believed), np.zeros(len(sure), dtype=bool)
    groups = np.random.default_rng(0).permutation(len(sure)) % GROUPS
    for group in range(GROUPS):  # what it brings is read off rows that did not choose
        held = groups == group
        passed[held] = sure[held] < _place(sure[~held], (by_person - now)[~held], believed)
    on: Mask = sure < at
    promise = Promise(metric="value", confidence=confidence)
    share = share_of(int(on.sum()), len(on))
    cut = Cut.model_validate({"measure": MEASURE, "at": at})
    figures = {"never": now, "always": by_person, "rule": np.where(passed, by_person, now)}
    told = {name: _thousand(task, money, persons) for name, money in figures.items()}
    return Calibrated(cut, promise, Escalated(**share), on), told


def _by_person(
    task: Task, answer: Answer, target: NDArray[np.int64], right: NDArray[np.int64], persons: Persons
) -> Floats:
    """Return the money that a person's decision on each row is expected to bring, the price taken off."""
    brings = np.column_stack(
        [
            brought(task, target, Answer(answer.scores, np.full(len(target), code), amounts=answer.amounts))
            for code in range(task.width)
        ]
    )
    best = brings[np.arange(len(target)), right]
    others = (brings.sum(axis=1) - best) / (task.width - 1)
    made: Floats = persons.accuracy * best + (1.0 - persons.accuracy) * others - persons.price
    return made


def _place(sure: Floats, gain: Floats, believed: float) -> float:
    """Return below which sureness passing rows on brings most; 0 where that is none."""
    open_ = sure < 1.0
    rows = Ordered.of(sure[open_], np.ones(int(open_.sum()), dtype=bool), np.ones(int(open_.sum())), gain[open_])
    if not len(rows.keys):
        return 0.0
    levels = rows.keys[rows.ends]
    places = np.concatenate([[0.0], (levels[:-1] + levels[1:]) / 2, [(levels[-1] + 1.0) / 2]])
    return rows.best_place(places, believed)


def _thousand(task: Task, money: Floats, persons: Persons) -> dict[str, object]:
    """Return what a thousand decisions bring, with its interval."""
    bootstrap = Bootstrap(rows=len(money))
    draws = [counts @ money / len(money) for counts in bootstrap.counts(bootstrap.affordable(1000))]
    found = bootstrap.interval(DECISIONS * float(money.mean()), DECISIONS * np.concatenate(draws), task.currency)
    plain = found.to_json()
    return plain | {
        "unit": f"{task.currency} per 1,000 decisions",
        "how": How.ESTIMATED.value,
        "source": f"{found.source}; persons are right with a chance of {persons.accuracy:g} (assumed)",
    }
