"""Train one small model to answer like a large one, or like several: distillation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from steelyard.contracts import (
    Answer,
    Columns,
    Context,
    Floats,
    Meter,
    Move,
    Prior,
    Problem,
    Setting,
    Space,
    Split,
    Stage,
    Trial,
    Work,
)
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.shrinking._munge import munge
from steelyard.levers.training.parts import folds_of
from steelyard.recipe import Combine, Plan, Recipe, Settings, Shrink, Train, trainings
from steelyard.tasks import metric
from steelyard.units import Estimate, How

STUDENTS = {"lightgbm": Settings(num_leaves=15, learning_rate=0.1), "linear": Settings()}
"""Learners that are small and fast to run, with settings that keep them so."""
MOST_SYNTHETIC = 50_000
"""Most rows that are made up: with more real ones there is enough to learn from."""
FAINT = 0.01
"""A class that the teacher gives less is left out of a row's lesson."""
AT_ONCE = 8_192
"""Rows that a teacher is asked about before the clock is looked at."""
HEAVY = 2_000_000
"""Bytes from which on a single model counts as large."""
ASKING = 1e-4
"""Seconds that a row of a teacher's takes, for each training under it (assumed)."""


class Distil:
    """Teaches a student with the answers of a finished model, on its training rows and on rows made of these.

    Of classes the student learns the teacher's probabilities: a row counts once for each class, with the
    probability as its weight. Rows beside the real ones show what the teacher does between them. Whether the
    student is as good as its teacher is measured like any other candidate's quality, on rows that neither saw.
    """

    name = "distil"
    stage = Stage.SHRINKING
    paper = (
        "Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. 2015, arXiv:1503.02531; with rows made "
        "as by Bucila, Caruana, Niculescu-Mizil: Model Compression. KDD 2006, doi:10.1145/1150402.1150464; for tables: "
        "Fakoor, Mueller, Erickson, Chaudhari, Smola: FAST-DAD. NeurIPS 2020, arXiv:2006.14284"
    )
    about = "Trains one small model to answer like an ensemble, a bag or a large model."
    space = Space(
        {
            "learner": Setting(default="lightgbm", options=tuple(STUDENTS), about="What the student is."),
            "synthetic": Setting(
                default=2.0, low=0.0, high=10.0, unit="times the rows", about="Rows made beside the real ones."
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose students of the best model that is several or large, of learners that came near it here."""
        heavy = [t for t in ranked(context.trials, context.task) if _heavy(t)]
        if [t.number for t in heavy[:1]] != [trial.number]:
            return
        seen = {t.recipe for t in context.trials}
        for name in STUDENTS:
            recipe = Shrink(lever=self.name, parent=trial.recipe, settings=self.space.complete(Settings(learner=name)))
            if recipe in seen or not _came_near(name, trial, context):
                continue
            bring = gain(0.006, 0.0, 0.02, "no better answers: what one small model instead is worth, as a gain")
            cost = _seconds(name, trial.recipe, recipe.settings.number("synthetic", 0.0), context)
            why = f"one small {name} model that answers like {_counted(len(trainings(trial.recipe)))}"
            yield Move(recipe=recipe, lever=self.name, prior=Prior(cost, bring), why=why)

    def student(self, settings: Settings) -> Train:
        """Return the training of the student.

        Raises
        ------
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        name = str(self._complete(settings)["learner"])
        return Train(learner=name, plan=Plan(settings=STUDENTS[name]))

    def teach(
        self, split: Split, teacher: Callable[[Columns], Answer], settings: Settings, work: Work, meter: Meter
    ) -> Split:
        """Return the rows of a split and others made of them, with what the teacher answers; fewer if time is short.

        Raises
        ------
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        times = self._complete(settings).number("synthetic", 0.0)
        random = np.random.default_rng([work.seed, 29])
        made = munge(split, min(MOST_SYNTHETIC, round(times * len(split))), work.schema, random)
        rows = _joined(split, made)
        order = np.concatenate([random.permutation(len(split)), np.arange(len(split), len(rows))])
        asked = _asked(teacher, rows.take(order), meter)
        back = np.argsort(order[: len(asked)], kind="stable")
        return _lesson(rows.take(order[: len(asked)][back]), asked[back], work)

    def _complete(self, settings: Settings) -> Settings:
        return settings_of(self.name, self.space, Plan(settings=settings))


def _asked(teacher: Callable[[Columns], Answer], rows: Split, meter: Meter) -> Floats:
    """Return the teacher's scores of the first rows, shape (m, width): all of them unless half the time goes by."""
    half, found = meter.remaining() / 2, list[Floats]()
    for start in range(0, len(rows), AT_ONCE):
        some = rows.take(np.arange(start, min(start + AT_ONCE, len(rows))))
        found.append(teacher(some.columns).scores)
        if meter.remaining() < half and start + AT_ONCE < len(rows):
            meter.note(
                f"There was time to ask the teacher about {start + AT_ONCE:,} of {len(rows):,} rows; the student "
                "learns from these."
            )
            break
    return np.concatenate(found)


def _lesson(rows: Split, scores: Floats, work: Work) -> Split:
    """Return rows whose target is what a teacher says: its value, or each class that it does not rule out."""
    if work.task.problem is Problem.REGRESSION:
        return replace(rows, target=scores[:, 0].astype(np.float64))
    told = np.where(scores >= min(FAINT, 1 / work.task.width), scores, 0.0)
    row, code = np.nonzero(told)
    lesson = rows.take(row)
    weights = (told / told.sum(axis=1, keepdims=True))[row, code]
    own = np.ones(len(lesson)) if lesson.weights is None else lesson.weights
    return replace(lesson, target=code.astype(np.int64), weights=weights * own)


def _joined(first: Split, second: Split) -> Split:
    """Return the rows of two splits."""
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


def _heavy(trial: Trial) -> bool:
    """Tell whether a model is several in one, or large: by its bytes, since a clock would not say the same twice."""
    recipe = trial.recipe
    if isinstance(recipe, Combine):
        return len(recipe.parents) > 1 and recipe.lever != "cascade"
    if not isinstance(recipe, Train) or not trial.ending.usable:
        return False
    return folds_of(recipe.plan) > 1 or (trial.weight is not None and trial.weight.size_bytes >= HEAVY)


def _came_near(learner: str, trial: Trial, context: Context) -> bool:
    """Tell whether a learner was trained in this run, and its best interval is not wholly worse than the trial's."""
    own = ranked(trained(context.trials, learner), context.task)
    if not own:
        return False
    mine, best = (t.validation[context.task.aim] for t in (own[0], trial))
    higher = metric(context.task.aim).better == "higher"
    return mine.high >= best.low if higher else mine.low <= best.high


def _seconds(learner: str, parent: Recipe, synthetic: float, context: Context) -> Estimate:
    """Return what a student should take: asking its teacher, and training on what that says."""
    rows = context.rows + min(MOST_SYNTHETIC, round(synthetic * context.rows))
    classes = min(context.task.width, 3)  # of more, most are ruled out in most rows
    training = training_seconds(learner, rows * classes, context)
    asking = ASKING * rows * len(trainings(parent)) * max(context.parts, 1)
    low, value, high = (
        asking * share + s for share, s in ((0.1, training.low), (1, training.value), (10, training.high))
    )
    return Estimate(
        value, low, high, How.ASSUMED, "s", f"{training.source}, and a tenth of a millisecond a teacher's row"
    )


def _counted(models: int) -> str:
    return "a large model" if models == 1 else f"{models} models"
