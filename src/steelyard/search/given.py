"""What is used today, asked: a bundle here, an endpoint over HTTP, or the decisions that it made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np

from steelyard.bundle import Bundle, load
from steelyard.contracts import Answer, Floats, Ints, Problem, Task, Weight
from steelyard.data.coerce import objects
from steelyard.recipe import Given
from steelyard.search.asking import Endpoint
from steelyard.search.fitting import Refused
from steelyard.search.incumbent import ENDPOINT, PAST
from steelyard.search.making import Bench, Made, OutOfTime, staked
from steelyard.search.plain_rows import plain_columns
from steelyard.tasks import metrics_for
from steelyard.units import Estimate

BATCH = 4096
"""Rows that a bundle is asked about at a time, so that a deadline is noticed."""
Judged = tuple[Answer, tuple[str, ...] | None]
"""Answers, and the metrics that may judge them; ``None``: all that apply."""


def judge_given(recipe: Given, bench: Bench) -> Made:
    """Have it answer the rows that choose.

    Raises
    ------
    Refused
        If it gives no scores and the aim is of scores.
    """
    answer, names = answer_given(recipe, bench, bench.dataset.partition.scored)
    aim = bench.dataset.task.aim
    if names is not None and aim not in names:
        raise Refused(
            f"{recipe.name} gives decisions without scores, and {aim} is of scores; name `scores:` beside its column, "
            f"or choose by another `quality.metric`, such as {names[0]}"
        )
    if recipe.kind != "column":
        bench.meter.note(
            f"Whether {recipe.name} was trained on some of these rows is not known here; if it was, its figures are "
            "better than they will be."
        )
    return Made(recipe, staked(answer, bench.dataset.rows.take(bench.dataset.partition.scored)), metrics=names)


def answer_given(recipe: Given, bench: Bench, rows: Ints) -> Judged:
    """Return its answers to some rows of the data, given as positions."""
    place, task = bench.store.refitted(recipe), bench.dataset.task
    if recipe.kind == "bundle":
        bundle = load(place, threads=bench.job.threads)
        return _joined([_bundled(bundle, bench, some) for some in _batches(rows, BATCH, bench)]), None
    if recipe.kind == "endpoint":
        with Endpoint.of(json.loads((place / ENDPOINT).read_bytes()), task) as endpoint:
            found = [endpoint.ask(plain_columns(bench.dataset, some)) for some in _batches(rows, endpoint.batch, bench)]
        scored = all(one.scores is not None for one in found)
        return _joined([one.answer(task) for one in found]), None if scored else decisive(task)
    with np.load(place / PAST, allow_pickle=False) as past:
        decided = past["decided"][rows]
        if "scores" in past:
            return Answer(past["scores"][rows], decided), None
    return Answer(certain(decided, task), decided), None if task.problem is Problem.REGRESSION else decisive(task)


def decisive(task: Task) -> tuple[str, ...]:
    """Return the metrics that look at decisions alone."""
    return tuple(each.name for each in metrics_for(task) if each.needs == "decided")


def certain(decided: Floats | Ints, task: Task) -> Floats:
    """Return decisions as scores: all of the probability on what was decided; of a regression the values."""
    if task.problem is Problem.REGRESSION:
        return np.asarray(decided, np.float64)[:, None]
    scores = np.zeros((len(decided), task.width))
    scores[np.arange(len(decided)), np.asarray(decided, np.int64)] = 1.0
    return scores


def weigh_given(recipe: Given, bench: Bench) -> Weight:
    """Weigh what does not run here: an endpoint over the network; of past decisions no latency is known."""
    if recipe.kind == "endpoint":
        place, dataset = bench.store.refitted(recipe), bench.dataset
        with Endpoint.of(json.loads((place / ENDPOINT).read_bytes()), dataset.task) as endpoint:
            some = dataset.partition.scored[:256]
            return endpoint.weigh(plain_columns(dataset, some), bench.meter.remaining() / 2)
    unknown = Estimate(math.nan, math.nan, math.nan, source="past decisions: how long they took is not known")
    return Weight(
        p50=unknown,
        p95=unknown,
        p99=unknown,
        throughput=unknown,
        batch=1,
        size_bytes=0,
        memory_bytes=unknown,
        threads=1,
        calls=0,
    )


def _bundled(bundle: Bundle, bench: Bench, rows: Ints) -> Answer:
    """Return a bundle's answers with its classes in the order of the task."""
    return in_order_of(bench.dataset.task, bundle.task, bundle.answer_rows(plain_columns(bench.dataset, rows)))


def in_order_of(task: Task, theirs: Task, answer: Answer) -> Answer:
    """Return an answer whose classes stood in another order."""
    if task.problem is Problem.REGRESSION:
        return answer
    order = np.array([theirs.classes.index(name) for name in task.classes])
    if task.problem is Problem.TAGGING:
        scores = objects(row[:, order] for row in answer.scores)
        return Answer(scores, objects(np.argsort(order)[codes] for codes in answer.decided))
    return Answer(answer.scores[:, order], np.argsort(order)[answer.decided])


def _batches(rows: Ints, size: int, bench: Bench) -> Iterator[Ints]:
    """Yield rows in batches; the deadline is looked at before each."""
    for start in range(0, len(rows), size):
        if bench.meter.remaining() <= 0:
            raise OutOfTime
        yield rows[start : start + size]


def _joined(parts: Sequence[Answer]) -> Answer:
    return Answer(np.concatenate([p.scores for p in parts]), np.concatenate([p.decided for p in parts]))
