"""What a teacher says, as rows for a student: asked once, kept as probabilities, unrolled for those that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from steelyard.contracts import Answer, Columns, Floats, Ints, Lesson, Meter, Problem, Split, Task, Work

FAINT = 0.01
"""A class that the teacher gives less is left out where a row stands once for each class."""
AT_ONCE = 8_192
"""Rows that a teacher is asked about before the clock is looked at."""


def lesson_of(
    real: Split,
    made: Split,
    teacher: Callable[[Columns], Answer],
    task: Task,
    meter: Meter,
    *,
    random: np.random.Generator,
    trust: float = 1.0,
    temperature: float = 1.0,
) -> Split:
    """Return rows with what a teacher says of them, which is asked once; fewer, real ones first, where time is short.

    Parameters
    ----------
    real
        Rows with their own targets.
    made
        Rows that stand for nothing that was seen: the teacher alone says what they are.
    random
        Draws which rows are asked about where there is no time for all.
    trust
        Share of what is learnt of a real row that the teacher says, from 0 to 1; the rest its own target does.
    temperature
        Of the lesson, where the target is a class.
    """
    rows = joined(real, made)
    order = np.concatenate([random.permutation(len(real)), np.arange(len(real), len(rows))])
    asked = _asked(teacher, rows.take(order), meter)
    kept, back = order[: len(asked)], np.argsort(order[: len(asked)], kind="stable")
    rows, scores = rows.take(kept[back]), asked[back]
    share = np.where(kept[back] < len(real), trust, 1.0)
    if task.problem is Problem.REGRESSION:
        return replace(rows, target=share * scores[:, 0] + (1 - share) * rows.target)
    target = np.where(kept[back] < len(real), rows.target, scores.argmax(axis=1)).astype(np.int64)
    return replace(rows, target=target, lesson=Lesson(scores, share, temperature))


def _asked(teacher: Callable[[Columns], Answer], rows: Split, meter: Meter) -> Floats:
    """Return the teacher's scores of the first rows, shape (m, width): all of them unless half the time goes by."""
    half, found = meter.remaining() / 2, list[Floats]()
    for start in range(0, len(rows), AT_ONCE):
        some = rows.take(np.arange(start, min(start + AT_ONCE, len(rows))))
        alike = _by_length(some)
        found.append(teacher(some.take(alike).columns).scores[np.argsort(alike, kind="stable")])
        if meter.remaining() < half and start + AT_ONCE < len(rows):
            meter.note(
                f"There was time to ask the teacher about {start + AT_ONCE:,} of {len(rows):,} rows; the student "
                "learns from these."
            )
            break
    return np.concatenate(found)


def _by_length(rows: Split) -> Ints:
    """Return rows in the order of how long their texts are: those of like length are answered together, unpadded."""
    total = np.zeros(len(rows), np.int64)
    for cells in rows.columns.values():
        if cells.dtype == object and len(cells) and isinstance(cells[0], str):
            total += np.fromiter((len(cell or "") for cell in cells), np.int64, count=len(cells))
    return np.argsort(total, kind="stable")


def unrolled(split: Split) -> Split:
    """Return a lesson for a learner that takes one class a row: a row stands once for each class, by its weight.

    A class that is given less than :data:`FAINT` is left out. A split without a lesson is returned as it is.
    """
    return split if split.lesson is None else unrolled_from(split, split.lesson)[0]


def unrolled_from(split: Split, lesson: Lesson) -> tuple[Split, Ints]:
    """Return such a lesson, and which row of the split each of its rows is."""
    width, trust = lesson.scores.shape[1], lesson.trust[:, None]
    told = trust * lesson.scores + (1 - trust) * np.eye(width)[split.target]
    told = np.where(told >= min(FAINT, 1 / width), told, 0.0)
    row, code = np.nonzero(told)
    rows = replace(split, lesson=None).take(row)
    weights = (told / told.sum(axis=1, keepdims=True))[row, code]
    own = np.ones(len(rows)) if rows.weights is None else rows.weights
    return replace(rows, target=code.astype(np.int64), weights=weights * own), row


def strangers(split: Split, work: Work, most: int, random: np.random.Generator) -> Split:
    """Return the rows that nobody gave a target, ``most`` of them drawn by chance, as rows beside a split.

    Each weighs what the split's own rows do on average; what it is a teacher has to say.
    """
    rows = work.unlabelled
    if rows is None or not split.columns.keys() <= rows.columns.keys():
        return split.take(np.arange(0))
    drawn = rows.take(np.sort(random.permutation(len(rows))[:most]))
    columns = {name: drawn.columns[name] for name in split.columns}
    weights = None if split.weights is None else np.full(len(drawn), split.weights.mean())
    return Split(columns, drawn.target, drawn.rows, weights)


def joined(first: Split, second: Split) -> Split:
    """Return the rows of two splits, of which neither is a lesson yet."""
    weights = None
    if first.weights is not None and second.weights is not None:
        weights = np.concatenate([first.weights, second.weights])
    amounts = first.amounts
    if amounts is not None:  # rows that are made up stake what rows do on average
        amounts = np.concatenate([amounts, np.tile(amounts.mean(axis=0), (len(second), 1))])
    return Split(
        {name: np.concatenate([cells, second.columns[name]]) for name, cells in first.columns.items()},
        np.concatenate([first.target, second.target]),
        np.concatenate([first.rows, second.rows]),
        weights,
        amounts,
    )
