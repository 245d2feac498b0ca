"""Train without rows that look like mistakes, and with a list of what was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from steelyard.contracts import (
    Column,
    Context,
    Keeper,
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
from steelyard.errors import MissingExtra
from steelyard.learners._settings import settings_of
from steelyard.levers.data._changes import Change, applied, to_csv
from steelyard.levers.data._labels import doubted
from steelyard.levers.data._mistakes import contradictions, disordered, impossible, near_repeats, repeats
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.units import Estimate, How

FEWEST_ROWS = 200
CHANGES = "changes.csv"
_HABIT = 0.5


class Clean:
    """Drops training rows that look like mistakes; targets may be corrected or weighed down instead.

    Rules, in this order, each on what the ones before it left: contradictions and repeats, near repeats, impossible
    and inconsistent values, targets that a model doubts which never saw the row. Every change is listed with the
    row's number, the old value, the new one and the reason. Rows that are scored are never changed.
    """

    name = "clean"
    stage = Stage.DATA
    alters = True
    paper = "Northcutt, Jiang, Chuang: Confident Learning. JAIR 2021, arXiv 1911.00068"
    about = "Trains without repeats, impossible values and doubtful labels, and lists every change."
    space = Space(
        {
            "labels": Setting(
                default="drop",
                options=("drop", "correct", "weigh", "keep"),
                about="What is done to rows of doubtful target.",
            ),
            "repeats": Setting(default=True, options=(True, False), about="Drop repeats and contradictions."),
            "values": Setting(default=True, options=(True, False), about="Drop impossible and inconsistent values."),
            "most": Setting(
                default=0.1,
                low=0.0,
                high=0.5,
                unit="of the rows",
                about="Most that one rule may change; more is a habit of the world.",
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose to clean the rows of the best training, once, where there are 200 rows or more."""
        recipe = trial.recipe
        if context.rows < FEWEST_ROWS or not isinstance(recipe, Train) or recipe.data:
            return
        if context.task.problem is Problem.TAGGING:
            return
        known = [(t, t.recipe) for t in context.trials if isinstance(t.recipe, Train)]
        best = ranked((t for t, made in known if not made.data), context.task)
        if not best or best[0].number != trial.number:
            return
        if any(made.learner == recipe.learner and self._in(made) for _, made in known):
            return
        cleaned = replace(recipe, data=(Step(lever=self.name, settings=self.space.complete(Settings())),))
        if cleaned in {t.recipe for t in context.trials}:
            return
        bring = gain(0.002, 0.0, 0.02, "little where labels are right; a few per cent of wrong ones cost about as much")
        why = f"trains {recipe.learner} without repeats, impossible values and doubtful labels"
        yield Move(recipe=cleaned, lever=self.name, prior=Prior(_seconds(recipe.learner, context), bring), why=why)

    def _in(self, recipe: Train) -> bool:
        return any(step.lever == self.name for step in recipe.data)

    def apply(self, split: Split, settings: Settings, work: Work, meter: Meter) -> Split:
        """Return the rows to train on; what was changed is noted in a sentence and kept as a list.

        Raises
        ------
        LeverRefused
            If tokens are tagged.
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        chosen = settings_of(self.name, self.space, Plan(settings=settings))
        if work.task.problem is Problem.TAGGING:
            raise LeverRefused("clean has no rule for rows of tags; leave it out with `levers: {without: [clean]}`")
        changes = tuple(found(split, chosen, work, meter))
        if isinstance(meter, Keeper):
            meter.keep(CHANGES, to_csv(changes))
        meter.note(_sentence(changes, len(split)))
        return applied(split, changes, work.task)


def found(split: Split, settings: Settings, work: Work, meter: Meter) -> Iterator[Change]:
    """Yield every change, rule by rule, each rule on the rows that the ones before it left."""
    columns = tuple(column for column in work.schema.features if column.name in split.columns)
    most = settings.number("most", 0.0)
    for switch, rule in _RULES:
        if not settings[switch]:
            continue
        changes = list({change.row: change for change in rule(split, columns, work)}.values())
        if len(changes) > most * len(split):
            meter.note(
                f"clean: {len(changes):,} of {len(split):,} rows would go for '{changes[0].reason}', which is too many "
                f"to be mistakes (most: {most:g}); they stay."
            )
            continue
        yield from changes
        split = applied(split, changes, work.task)
    how = str(settings["labels"])
    if how == "keep" or len(split) < FEWEST_ROWS:
        return
    try:
        yield from doubted(split, work, how, most)
    except MissingExtra as problem:
        meter.note(f"clean: labels are not looked at: {problem}.")


def _same(split: Split, columns: tuple[Column, ...], work: Work) -> Iterator[Change]:
    """Yield repeats, unless most rows repeat others: then they are what the world sends (see ``data.units``)."""
    del work
    changes = list(repeats(split, columns))
    if len(changes) <= _HABIT * len(split):
        yield from changes


_Rule = Callable[[Split, tuple[Column, ...], Work], Iterator[Change]]

_RULES: tuple[tuple[str, _Rule], ...] = (
    ("repeats", lambda split, columns, work: contradictions(split, columns, work.task)),
    ("repeats", _same),
    ("repeats", lambda split, columns, _: near_repeats(split, columns)),
    ("values", lambda split, columns, _: impossible(split, columns)),
    ("values", lambda split, columns, _: disordered(split, columns)),
)
"""The setting that switches a rule off, and the rule."""


def _sentence(changes: Sequence[Change], rows: int) -> str:
    if not changes:
        return f"clean: nothing to change in {rows:,} rows."
    counts = Counter((change.reason, change.act.value) for change in changes)
    listed = ", ".join(f"{count:,} {act} ({reason})" for (reason, act), count in counts.items())
    return f"clean: {len(changes):,} of {rows:,} rows changed: {listed}; each is listed in {CHANGES}."


def _seconds(learner: str, context: Context) -> Estimate:
    """Return what a trial should take on one core: the training, and five small models a part to doubt labels by."""
    whole = training_seconds(learner, context.rows, context)
    cells = context.rows * max(len(context.schema.features), 1) * max(context.task.width - 1, 1)
    value = max(context.parts, 1) * (0.5 + 6e-6 * cells)
    source = f"{whole.source}, and a model of {context.rows:,} rows in five folds"
    return Estimate(whole.value + value, whole.low + value / 3, whole.high + 3 * value, How.ASSUMED, "s", source)
