"""Who may be a student: learners that are small and quick, what each reads, and how each is best taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.contracts import Context, Kind, Trial
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.shrinking.chain import learner_of, steps_of
from steelyard.levers.training.parts import folds_of
from steelyard.recipe import Combine, Settings, Shrink, Train
from steelyard.tasks import metric

ENCODER = "encoder"
"""The student that is its teacher with fewer layers."""
ENCODERS = frozenset({"transformer", "embed-linear"})
"""Learners whose graphs hold the layers of an encoder."""
HEAVY = 2_000_000
"""Bytes from which on a single model counts as large."""
FIXED = frozenset({"quantise", "static-embeddings"})
"""Steps after which a graph has no float layers any more that could be trained."""
TABLE = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.TIME, Kind.TEXT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A learner as a student.

    ``settings`` keep it small; ``reads`` are the kinds of columns that it is for; ``lesson`` is what the lever proposes
    of its own settings.
    """

    settings: Settings = Settings()  # noqa: RUF009 - immutable
    reads: frozenset[Kind] = TABLE
    lesson: Settings = Settings()  # noqa: RUF009 - as above
    soft: bool = False
    """Whether it takes a :class:`~steelyard.contracts.Lesson`, and so a temperature."""


_NET = Settings(temperature=2.0, trust=0.9, synthetic=0.0)
"""Hinton, Vinyals, Dean (2015) found temperatures from 2.5 to 4 best for small students, and a small weight for the
truth."""
_TEXT = _NET.with_(synthetic=2.0)
STUDENTS: Mapping[str, Student] = {
    "lightgbm": Student(settings=Settings(num_leaves=15, learning_rate=0.1)),
    "linear": Student(),
    "tfidf-linear": Student(reads=frozenset({Kind.TEXT})),
    "text-cnn": Student(reads=frozenset({Kind.TEXT}), lesson=_TEXT, soft=True),
    "cnn": Student(settings=Settings(width=16), reads=frozenset({Kind.IMAGE}), lesson=_NET, soft=True),
    "audio-cnn": Student(settings=Settings(width=32), reads=frozenset({Kind.AUDIO}), lesson=_NET, soft=True),
    "tcn": Student(reads=frozenset({Kind.SEQUENCE}), lesson=_NET, soft=True),
}
BOOSTED = frozenset({"lightgbm"})
"""Students that may be given a number of rounds."""
QUICK, ROUNDS = Settings(num_leaves=31, learning_rate=0.2), 60
"""How a student of boosted trees is trained that is given its rounds, and those that are proposed. What a teacher says
can be learnt ever better, so that without an end a student may have more trees than its teacher. Chosen among six by
validation rows of the tables of ``make bench-shrink``."""


def heavy(trial: Trial) -> bool:
    """Tell whether a model is several in one, or large: by its bytes, since a clock would not say the same twice."""
    recipe = trial.recipe
    if not trial.ending.usable:
        return False
    if isinstance(recipe, Combine):
        return len(recipe.parents) > 1 and recipe.lever != "cascade"
    if isinstance(recipe, Train) and folds_of(recipe.plan) > 1:
        return True
    if not (isinstance(recipe, Train) or (isinstance(recipe, Shrink) and learner_of(recipe))):
        return False
    return trial.weight is not None and trial.weight.size_bytes >= HEAVY


def layered(trial: Trial) -> bool:
    """Tell whether a model is a large encoder of text whose layers can still be trained."""
    fixed = FIXED.intersection(steps_of(trial.recipe))
    return heavy(trial) and learner_of(trial.recipe) in ENCODERS and not fixed


def suits(name: str, trial: Trial, context: Context) -> bool:
    """Tell whether a learner reads what the table holds, and may come near; no model is a student of itself.

    It may if it came near in this run. With at least as many rows without a target as with one, it may from anywhere:
    what it lacked was rows, and of those its teacher has more than anybody labelled.
    """
    student = STUDENTS[name]
    kinds = {column.kind for column in context.schema.features}
    if not kinds <= student.reads or not trained(context.trials, name):
        return False
    if context.unlabelled < context.rows and not came_near(name, trial, context):
        return False
    if learner_of(trial.recipe) != name:
        return True
    return _lighter(student, trial, context)


def _lighter(student: Student, trial: Trial, context: Context) -> bool:
    """Tell whether a student costs less to serve than its teacher of the same learner, so far as it can tell."""
    recipe = trial.recipe
    while isinstance(recipe, Shrink):
        recipe = recipe.parent
    assert isinstance(recipe, Train), "a learner has a training"
    learner = context.learner(recipe.learner)
    burden = getattr(learner, "burden", None)
    if folds_of(recipe.plan) > 1:
        return True
    return burden is None or burden(student.settings) < burden(recipe.plan.settings)


def came_near(learner: str, trial: Trial, context: Context) -> bool:
    """Tell whether a learner was trained in this run, and its best interval is not wholly worse than the trial's."""
    own = ranked(trained(context.trials, learner), context.task)
    if not own:
        return False
    mine, best = (t.validation[context.task.aim] for t in (own[0], trial))
    higher = metric(context.task.aim).better == "higher"
    return mine.high >= best.low if higher else mine.low <= best.high
