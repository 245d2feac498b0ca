"""Derived features that any learner of tables can put beside its own: what the lever ``features`` asks for.

A learner that honours ``"features"`` adds :func:`feature_blocks` to the blocks of its prelude, and trains on
:meth:`~steelyard.learners._prelude.Prelude.train` instead of ``run``.
"""

from __future__ import annotations

from steelyard.clock import Phase, phase
from steelyard.contracts import Kind, Meter, Setting, Space, Split, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import frequent
from steelyard.learners._dates import Dates
from steelyard.learners._interactions import crosses, quotients
from steelyard.learners._lookup import counts
from steelyard.learners._settings import settings_of
from steelyard.learners._summaries import summaries
from steelyard.learners._table import names_of
from steelyard.learners._targets import Targets
from steelyard.recipe import Plan, Settings

NAME = "features"
"""The part of a plan that asks for them."""
MANY = 10
"""Values beyond which a category is worth a count or a mean of the target."""
MOST_VALUES = 10_000
"""Most values of one category that are counted; the others are as if unseen."""
MOST_CLASSES = 10
"""Classes beyond which no mean a class and value is kept."""

SPACE = Space(
    {
        "dates": Setting(default=True, options=(True, False), about="Whether times are split into calendar parts."),
        "counts": Setting(
            default=False, options=(True, False), about="Whether a category of many values has its frequency beside it."
        ),
        "targets": Setting(
            default=False, options=(True, False), about="Whether it has the mean of the target for its value beside it."
        ),
        "interactions": Setting(
            default=0, low=0, high=32, unit="pairs", about="Pairs of columns that are looked at together; 0: none."
        ),
    }
)
"""What a plan's part may say. Calendar parts are on by default: without them hardly anything is learnt of a time."""


def features_of(plan: Plan) -> Settings:
    """Return the settings of the plan's part on features, defaults for the rest.

    Raises
    ------
    SettingsRefused
        If one is unknown or out of range.
    """
    given = Settings(
        {name: value for step in plan.parts if step.lever == NAME for name, value in step.settings.items()}
    )
    return settings_of(NAME, SPACE, Plan(settings=given))


@phase(Phase.PREPARING)
def feature_blocks(
    plan: Plan, train: Split, work: Work, meter: Meter, *, standard: bool, sparse: bool = False
) -> tuple[Block, ...]:
    """Return fitted blocks of the derived features that a plan asks for, calendar parts unless it says no.

    Sequences are always summarised: no table holds them otherwise.

    Parameters
    ----------
    train
        The rows that the learner trains on; nothing else is looked at.
    standard
        For models that add up: features are on a scale of about 1, without NaN. Without, for models that split: they
        are on any scale, NaN where training had gaps.
    sparse
        For models with a weight for each of many cells: interactions are one sparse block of crosses. Without, every
        block is dense, and interactions are differences and quotients of numbers.
    """
    settings = features_of(plan)
    blocks: list[Block] = []
    times = names_of(work.schema, Kind.TIME)
    dates = Dates.fit(train.columns, times, standard=standard) if times and settings["dates"] else None
    blocks += [dates] if dates else []
    blocks += summaries(train.columns, work.schema, standard=standard)
    blocks += _of_categories(settings, train, work, meter)
    if pairs := int(settings.number("interactions", 0)):
        found = (
            crosses(train, work, most=pairs, dates=dates)
            if sparse
            else quotients(train, work, most=pairs, standard=standard)
        )
        if found is None:
            meter.note("no two columns act together, so there are no interactions to add")
        else:
            blocks.append(found)
    return tuple(blocks)


def _of_categories(settings: Settings, train: Split, work: Work, meter: Meter) -> list[Block]:
    if not (settings["counts"] or settings["targets"]):
        return []
    names = names_of(work.schema, Kind.CATEGORY)
    values = frequent(train.columns, names, least=1, most=MOST_VALUES)
    wide = {name: known for name, known in zip(names, values, strict=True) if len(known) > MANY}
    if not wide:
        meter.note(f"no category has more than {MANY} values, so none gets a count or a mean of the target")
        return []
    columns, known = tuple(wide), tuple(wide.values())
    blocks: list[Block] = [counts(train.columns, columns, known)] if settings["counts"] else []
    if settings["targets"]:
        if work.task.width > MOST_CLASSES:
            meter.note(f"there are more than {MOST_CLASSES} classes, so categories get no means of the target")
        else:
            blocks.append(Targets.fit(train, columns, known, classes=len(work.task.classes), seed=work.seed))
    return blocks
