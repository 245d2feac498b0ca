"""Distilling: a small model is trained to answer like a finished one, and is judged like any other."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from steelyard.bundle import apply_rule, load
from steelyard.contracts import Answer, Columns, CombiningLever, DistillingLever, Evidence, Ints, Rule, Split
from steelyard.data.dataset import Part
from steelyard.levers.training.parts import SELECT, columns_of, read_by, with_part
from steelyard.recipe import Combine, Recipe, Settings, Shrink, Step, Train
from steelyard.registry import levers
from steelyard.search.fitting import Refused, Trainer, cut_short, trainer_of
from steelyard.search.joining import in_use
from steelyard.search.making import Answers, Bench, Made, OutOfTime, part_answer
from steelyard.search.training import train_once

Teacher = Callable[[Columns], Answer]


def distils(recipe: Shrink) -> bool:
    """Tell whether a recipe is a student's, and so trained by a learner, rather than a graph made smaller."""
    lever = levers().get(recipe.lever)
    return isinstance(lever, DistillingLever) and lever.student(recipe.settings) is not None


def distil_parts(recipe: Shrink, bench: Bench, folder: Path) -> Made:
    """Train a student for every part, taught by that part's own parent on that part's own rows."""
    parts, answers, rounds = bench.dataset.partition.parts, Answers(bench.dataset), list[int]()
    for number, part in enumerate(parts):
        bench.meter.share_out(len(parts) - number)
        if bench.meter.remaining() <= 0:
            raise OutOfTime
        trainer = student_of(recipe, bench, teacher_of(recipe.parent, bench, part))
        made = train_once(trainer, folder / part.name, fit=part.fit, score=part.score)
        if cut_short(made.fitted):
            raise OutOfTime
        answers.put(part.score, made.answer)
        rounds += [] if made.fitted.rounds is None else [made.fitted.rounds]
    return Made(recipe=recipe, answer=answers.whole(), rounds=tuple(rounds))


def distil_all(recipe: Shrink, bench: Bench, source: Path, folder: Path, *, fit: Ints, score: Ints) -> None:
    """Train the student that ships: taught by the refitted parent, for the rounds that its parts took on average.

    Raises
    ------
    OutOfTime
        If the deadline cut it short.
    """
    trainer = student_of(recipe, bench, load(source, threads=bench.job.threads).answer)
    outcome = bench.store.outcome(recipe)
    if outcome is not None and outcome.rounds:
        trainer = trainer.fixed(max(1, round(math.fsum(outcome.rounds) / len(outcome.rounds))))
    made = train_once(trainer, folder, fit=fit, score=score)
    if cut_short(made.fitted):
        raise OutOfTime


def student_of(recipe: Shrink, bench: Bench, teacher: Teacher) -> Trainer:
    """Return what trains a recipe's student on what a teacher says; it reads no column that the parent does not."""
    lever = cast("DistillingLever", levers().get(recipe.lever))
    given = lever.student(recipe.settings)
    assert given is not None, "what is cut out of its parent's graph is made by applying the lever"
    student = _reading(given, recipe.parent, bench)

    def teach(rows: Split) -> Split:
        taught = lever.teach(rows, teacher, recipe.settings, replace(bench.work, seed=student.seed), bench.meter)
        if bench.meter.remaining() <= 0:
            raise OutOfTime
        return taught

    return trainer_of(student, bench, teach=teach, ships_as=recipe)


def _reading(student: Train, parent: Recipe, bench: Bench) -> Train:
    """Return the student restricted to the columns that its teacher reads."""
    features = [column.name for column in bench.dataset.schema.features]
    read = read_by(parent, bench.dataset.schema)
    if columns_of(student.plan) is not None or not read or len(read) == len(features):
        return student
    kept = json.dumps([name for name in features if name in read], ensure_ascii=False)
    step = Step(lever=SELECT, settings=Settings(columns=kept))
    return replace(student, plan=with_part(student.plan, step))


def teacher_of(parent: Recipe, bench: Bench, part: Part) -> Teacher:
    """Return one part's parent, made without the targets of the rows that the student will be judged on.

    The trainings under it never saw them. The rules of combinations ship fitted on every validation row; here they
    are fitted on the other folds', or under a holdout on the rows for calibration.
    """
    partition, source = bench.dataset.partition, bench.dataset.rows.rows
    judged = np.intersect1d(part.score, partition.validation)
    once = np.intersect1d(partition.scored, partition.development)  # folds that are dealt again hold copies
    return _teacher(parent, bench, part, once[~np.isin(source[once], source[judged])])[0]


def _teacher(parent: Recipe, bench: Bench, part: Part, rows: Ints) -> tuple[Teacher, Answer]:
    """Return what answers as a recipe does, and its answers to every scored row; rules are fitted on ``rows``."""
    if not isinstance(parent, Combine):
        place = bench.store.place(parent) / part.name
        return load(place, threads=bench.job.threads).answer, bench.store.answers(parent)
    members = [_teacher(one, bench, part, rows) for one in parent.parents]
    rule = _rule(parent, [answer for _, answer in members], bench, rows)
    task, (used, kept) = bench.dataset.task, in_use(rule, [teacher for teacher, _ in members])

    def teacher(columns: Columns) -> Answer:
        return apply_rule(used, [member(columns) for member in kept], task)

    return teacher, apply_rule(rule, [answer for _, answer in members], task)


def _rule(recipe: Combine, answers: list[Answer], bench: Bench, rows: Ints) -> Rule:
    lever = cast("CombiningLever", levers().get(recipe.lever))
    if len(rows) < lever.needs_rows:
        raise Refused(
            f"The teacher's {recipe.lever} needs {lever.needs_rows} rows that the student is not judged on; there are "
            f"{len(rows)}. Give more rows, or leave distilling out."
        )
    index = np.searchsorted(bench.dataset.partition.scored, rows)
    split = bench.dataset.rows.take(rows)
    evidence = Evidence(tuple(part_answer(answer, index) for answer in answers), split.target, split.weights)
    return lever.fit(evidence, recipe.settings, bench.work)
