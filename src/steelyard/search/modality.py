"""Which columns of a mixed table a learner can read, so that models of different kinds of columns can be joined.

A net on images refuses a table that has numbers beside them. It is started on the images alone, a model for tables on
the numbers, and `ensemble` and `cascade` join what they say: late fusion [1]_, where each modality has a model of its
own and decisions are what is fused.

References
----------
.. [1] Snoek, Worring, Smeulders. Early versus late fusion in semantic video analysis. ACM Multimedia 2005,
   doi:10.1145/1101149.1101236.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from steelyard.contracts import FEATURES, OF_ROWS, Column, Kind, Learner, Schema, Task
from steelyard.levers.training.parts import MODALITY
from steelyard.recipe import Plan, Settings, Step
from steelyard.search.fitting import refusal_of

WHOLE = frozenset({Kind.TEXT, Kind.IMAGE, Kind.AUDIO, Kind.TOKENS, Kind.SEQUENCE})
"""Kinds whose columns are worth a model of their own."""


def starters(
    learners: Sequence[Learner], task: Task, schema: Schema, asked: Collection[str] = ()
) -> tuple[list[Learner], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return which learners may start, what those read that read some columns alone, and why others may not.

    Those that need a kind of column which the table does not have are summed up in one sentence, unless they were
    ``asked`` for by name; of those that are made for another problem nothing is said but then.
    """
    willing, reads, sentences = [], {}, []
    foreign: dict[Kind, list[str]] = {}
    for learner in learners:
        refusal = refusal_of(learner, task, schema)
        elsewhere = task.problem not in getattr(learner, "problems", OF_ROWS)
        columns = None if refusal is None or elsewhere else readable(learner, task, schema)
        if refusal is None or columns is not None:
            willing.append(learner)
        if columns is not None:
            reads[learner.name] = columns
        elif refusal is None or (elsewhere and learner.name not in asked):
            continue
        elif refusal.lacks is not None and learner.name not in asked:
            foreign.setdefault(refusal.lacks, []).append(learner.name)
        else:
            sentences.append(f"{learner.name} was left out: {refusal.sentence}")
    if foreign:
        which = "; ".join(f"{kind.value} ({', '.join(names)})" for kind, names in foreign.items())
        sentences.append(f"Learners of kinds of columns that this table does not have were left out: {which}.")
    return willing, reads, tuple(sentences)


def readable(learner: Learner, task: Task, schema: Schema) -> tuple[str, ...] | None:
    """Return the most columns that a learner accepts together, in the schema's order; ``None`` where it accepts none.

    Tried are: all but those of some kinds, then all of one kind, then single columns of images, sound and the like.

    Examples
    --------
    >>> from steelyard.learners._tfidf_linear import TfidfLinear
    >>> from steelyard.contracts import Problem
    >>> mixed = Schema((Column(name="age", kind=Kind.NUMBER), Column(name="note", kind=Kind.TEXT)))
    >>> readable(TfidfLinear(), Task(problem=Problem.REGRESSION, target="y", aim="mae"), mixed)
    ('note',)
    """
    for columns in sorted(_subsets(schema.features), key=len, reverse=True):
        if columns and learner.accepts(task, only(schema, columns)) is None:
            return tuple(column.name for column in columns)
    return None


def _subsets(features: Sequence[Column]) -> Iterator[list[Column]]:
    """Yield sets of columns that a family of models may be made for, none of them all columns."""
    present = {column.kind for column in features} & WHOLE
    sets = [set(FEATURES) - WHOLE | {Kind.TEXT}, set(FEATURES) - WHOLE, *({kind} for kind in present)]
    for kinds in sets:
        columns = [column for column in features if column.kind in kinds]
        if len(columns) < len(features):
            yield columns
    yield from ([column] for column in features if column.kind in WHOLE)


def only(schema: Schema, columns: Sequence[Column]) -> Schema:
    """Return a schema without other features than some columns."""
    names = {column.name for column in columns}
    return Schema(tuple(c for c in schema.columns if c.name in names or c.kind not in FEATURES))


def reading(plan: Plan, columns: Sequence[str]) -> Plan:
    """Return a plan that reads some columns alone."""
    step = Step(lever=MODALITY, settings=Settings(columns=json.dumps(list(columns), ensure_ascii=False)))
    return replace(plan, parts=(*plan.parts, step))
