"""What no machine can do alone: let people answer, clean labels, relax a target, collect another column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.advise.actions import Action, Kind, Yard
from steelyard.advise.curves import Curve
from steelyard.bundle.scores import sureness
from steelyard.contracts import NUMERIC, Answer, Trial
from steelyard.data import Dataset
from steelyard.decide import candidate
from steelyard.measure import paired
from steelyard.money import Price, Prices
from steelyard.search.making import part_answer, validation_of
from steelyard.spec import Spec
from steelyard.tasks import metric
from steelyard.units import Estimate, How

HARDEST = 0.05
"""Share of the rows that people would answer."""
RIGHT = "people are taken to be right (assumed)"


def people_action(
    dataset: Dataset, answer: Answer, yard: Yard, price: Price | None, *, share: float = HARDEST
) -> Action | None:
    """Return passing the rows on which the model is least sure to people; ``None`` for numbers, which have no such.

    Parameters
    ----------
    dataset : Dataset
        The rows.
    answer : Answer
        Of the model that ships, on ``partition.scored``.
    yard : Yard
        What gains are measured in.
    price : Price or None
        Of one answer of a person: that of a label.
    share : float
        Of all rows.
    """
    task = dataset.task
    if task.problem in NUMERIC:
        return None
    where, held = validation_of(dataset)
    own = part_answer(answer, where)
    sure = sureness("worth" if task.value is not None else "margin", own.scores, task)
    count = max(1, round(share * len(held)))
    hard = np.argsort(sure, kind="stable")[:count]
    scores, decided = own.scores.copy(), own.decided.copy()
    scores[hard] = np.eye(task.width)[held.target[hard]]
    decided[hard] = held.target[hard]
    clusters = dataset.clusters
    groups = None if clusters is None else clusters[dataset.partition.validation]
    found = paired(task.aim, task, held.target, Answer(scores, decided), own, weights=held.weights, groups=groups)
    wrong = float((own.decided[hard] != held.target[hard]).mean())
    source = (
        f"on the {count:,} of {len(held):,} validation rows of which the model is least sure it errs in {wrong:.0%}"
    )
    gain = yard.gain(found.value, found.low, found.high, f"{source}; {RIGHT}", How.ESTIMATED)
    answers = None if yard.decisions is None else share * yard.decisions
    cost = None
    if price is not None and answers is not None:
        amount = float(price.amount.amount) * answers
        cited = f"{answers:,.0f} answers over the horizon at the price of a label: {price.cited}"
        cost = Estimate.exact(amount, how=How.ASSUMED, unit=price.amount.currency, source=cited)
    return Action(
        name=f"let people answer the hardest {share:.0%}",
        kind=Kind.PEOPLE,
        gain=gain,
        cost=cost,
        evidence=f"{source}; {RIGHT}",
        break_even=None if answers is None else yard.break_even(gain, answers, "answer"),
        per="answer",
    )


def clean_action(dataset: Dataset, curve: Curve, rate: float, yard: Yard, price: Price | None) -> Action | None:
    """Return having people look again at the labels that a model doubts which never saw them.

    Wrong labels at a rate of p make n rows worth about n (1 - 2p)^2 right ones (Angluin and Laird, "Learning from Noisy
    Examples", Machine Learning 2, 1988, doi:10.1007/BF00116829: the bound for labels that are flipped at random); the
    curve tells what the difference is worth. ``rate`` is the share that is doubted; ``None`` where that is none.
    """
    rows = len(dataset.partition.development)
    if rate <= 0:
        return None
    worth = rows / (1 - 2 * min(rate, 0.4)) ** 2
    told = curve.gain(rows, worth)
    high = max(0.0, told.interval(0.95)[1])
    count = max(1, round(rate * rows))
    source = (
        f"confident learning doubts {rate:.1%} of the training labels; if half of them are wrong, mending them "
        f"is worth about half of what {worth - rows:,.0f} more rows are"
    )
    gain = yard.gain(max(0.0, told.value) / 2, 0.0, high, source)
    cost = None
    if price is not None:
        amount = float(price.amount.amount) * count
        cost = Estimate.exact(amount, how=How.ASSUMED, unit=price.amount.currency, source=price.cited)
    noun = "label" if count == 1 else "labels"
    return Action(
        name=f"have people check {count:,} suspected {noun}",
        kind=Kind.CLEAN,
        gain=gain,
        cost=cost,
        evidence=source,
        break_even=yard.break_even(gain, count, "label"),
        per="label",
    )


def latency_action(
    trials: Sequence[Trial],
    chosen: int,
    compared: Answer,
    answers: Mapping[int, Answer],
    *,
    dataset: Dataset,
    spec: Spec,
    prices: Prices,
    yard: Yard,
) -> Action | None:
    """Return relaxing the latency target to what the best model needs; ``None`` where the target keeps none out.

    ``answers`` holds those of measured trials on ``partition.scored`` by number, ``compared`` that of the chosen one.
    """
    target, aim = spec.serving.latency_p95_ms, metric(dataset.task.aim)
    if target is None:
        return None
    known = {t.number: c for t in trials if (c := candidate(t, prices, spec, dataset.task, dataset.schema)) is not None}
    slow = [n for n, c in known.items() if c.p95.value > target and n in answers]
    if not slow or chosen not in known:
        return None
    best = max(slow, key=lambda n: aim.higher_is_better(known[n].quality.value))
    where, held = validation_of(dataset)
    one, other = part_answer(answers[best], where), part_answer(compared, where)
    found = paired(dataset.task.aim, dataset.task, held.target, one, other, weights=held.weights)
    if found.value <= 0:
        return None
    millions = 0.0 if yard.decisions is None else yard.decisions / 1e6
    dearer = (known[best].cost_per_million.value - known[chosen].cost_per_million.value) * millions
    need = known[best].p95.value
    source = f"trial {best} needs {need:.3g} ms where {target:g} ms are asked for; compared on the same validation rows"
    gain = yard.gain(found.value, found.low, found.high, source, How.MEASURED)
    cost = Estimate.exact(max(0.0, dearer), how=How.ESTIMATED, unit=prices.currency, source="dearer serving")
    name = f"relax the latency target from {target:g} to {need:.3g} ms"
    return Action(name=name, kind=Kind.LATENCY, gain=gain, cost=cost, evidence=source)


def column_action(curve: Curve, columns: int, yard: Yard) -> Action:
    """Return collecting one more column of the kind there are, from scores against the number of columns."""
    told = curve.gain(columns, columns + 1)
    low, high = told.interval(0.95)
    source = (
        f"{len(curve.rows)} trainings on columns drawn at random, up to all {columns}; another column is taken to be "
        "like those (assumed)"
    )
    gain = yard.gain(told.value, low, high, source, How.ASSUMED)
    return Action(
        name="collect another column",
        kind=Kind.COLUMN,
        gain=gain,
        cost=None,
        evidence=source,
        break_even=yard.break_even(gain, 1, "column"),
        per="column",
    )
