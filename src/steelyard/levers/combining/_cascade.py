"""A cheap model answers where it is sure, a dear one elsewhere, with a promise about what that costs in quality."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.bundle.scores import MEASURES, sureness
from steelyard.contracts import (
    NUMERIC,
    Context,
    Ending,
    Evidence,
    Move,
    Prior,
    Rule,
    Setting,
    Space,
    Stage,
    Task,
    Trial,
    Work,
)
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant, tolerance_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import aim_of, ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.promise import DOUBT, Stake, at_stake, boldest, can_promise, rows_needed, share_of, units_needed
from steelyard.recipe import Combine, Plan, Settings, parents

ROWS = 80
"""What a loss of at most 0.05 in accuracy takes at least (:func:`units_needed`); no promise rests on fewer."""
FASTER = (3.0, 10.0)
"""How many times faster than the dear member a cheap one is at least; one is proposed for each."""
TRIES = 2
"""Cascades refused in a run after which none is proposed any more: what they lacked was mostly rows."""


class Cascade:
    """Calibrates from which sureness on the cheap member may answer: Learn then Test, in a fixed sequence.

    The places to cut are fixed before any row is seen and tested from the safest on, each at the full level, until
    one fails; the boldest that passed is taken. So the chance that the loss of quality against the dear member is
    above the tolerance is 5% at most, for any two members and any distribution, however many places there are.

    What that holds for: the aim of the task (those of :mod:`steelyard.promise.stake`; a cascade for another
    one is refused), the members that answered, and rows that are independent of each other, as good as drawn from
    what will be served. On out-of-fold rows it speaks of the members of the folds, and is as exact for those
    that are refitted as cross-validation is.
    """

    name = "cascade"
    stage = Stage.COMBINING
    paper = (
        "Angelopoulos, Bates, Candes, Jordan, Lei: Learn then Test: Calibrating Predictive Algorithms to Achieve Risk "
        "Control. 2021, arXiv 2110.01052"
    )
    about = "Lets a cheap model answer where it is sure, and a dear one elsewhere."
    fits_on = "calibration"
    needs_rows = ROWS
    needs_independent_rows = True
    space = Space(
        {
            "tolerance": Setting(default=0.01, low=0.0, about="Most that may be lost, in units of the aim."),
            "measure": Setting(default="margin", options=MEASURES, about="What sureness is read off."),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose cascades from the best weighed trial to the best ones that are worse, and much faster."""
        known = [t for t in ranked(context.trials, context.task) if t.weight is not None and _may_join(t)]
        if not known or known[0].number != trial.number:
            return
        tolerance = tolerance_of(context, trial)
        if not self._may_promise(context, tolerance):
            return
        done = {parents(t.recipe) for t in context.trials if ends_with(t.recipe, self.name)}
        measure = "worth" if context.task.aim == "value" else "margin"
        bring = gain(0.01, 0.0, 0.03, "brings speed: most rows are easy, and a cheap model knows which")
        for cheap in _cheaper(known, context.task):
            joined = (cheap.recipe, trial.recipe)
            if joined not in done:
                recipe = Combine(
                    lever=self.name, parents=joined, settings=Settings(tolerance=tolerance, measure=measure)
                )
                why = f"trial {cheap.number} is much faster than trial {trial.number} and may answer what is easy"
                yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def _may_promise(self, context: Context, tolerance: float) -> bool:
        """Tell whether there may be enough rows, those left out of each fit in turn not counted."""
        refused = sum(t.ending is Ending.REFUSED and ends_with(t.recipe, self.name) for t in context.trials)
        if tolerance <= 0 or not can_promise(context.task) or refused >= TRIES:
            return False
        apart = 1 if context.parts == 1 else 1 - 1 / context.parts
        return context.calibration_rows * apart >= max(ROWS, rows_needed(context.task, tolerance))

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "cascade", "measure": m, "at": t, "escalated": {...}, "promise": {...}}``.

        ``escalated`` is the share of the rows seen that the dear member answers, with its 95% interval; ``promise``
        the metric, the most that is lost in it, and the confidence.

        Raises
        ------
        LeverRefused
            If nothing can be promised about the aim, rows are too few for the tolerance, or no row can be kept from
            the dear member.
        """
        given = settings_of(self.name, self.space, Plan(settings=settings))
        tolerance, measure, task = given.number("tolerance", 0.01), str(given["measure"]), work.task
        _check(evidence, task, tolerance)
        stake = at_stake(task, evidence)
        limit = tolerance / stake.span
        self._enough(evidence, stake, limit, task)
        sure = sureness(measure, evidence.answers[0].scores, task, evidence.answers[0].amounts)
        at = boldest(sure, stake, limit)
        if at is None or not (sure >= at).any():
            raise LeverRefused(
                f"cascade finds no sureness from which the cheap member loses at most {tolerance:g} in {task.aim} with "
                f"{1 - DOUBT:.0%} confidence on {len(sure)} rows: take the dear one, or raise quality.tolerance"
            )
        return {
            "rule": "cascade",
            "measure": measure,
            "at": at,
            "escalated": share_of(int((sure < at).sum()), len(sure)),
            "promise": {"metric": task.aim, "lost_at_most": tolerance, "confidence": 1 - DOUBT},
        }

    def _enough(self, evidence: Evidence, stake: Stake, limit: float, task: Task) -> None:
        """Refuse where not even a cascade that loses nothing could be shown to lose less than the tolerance."""
        needed, of_each = units_needed(limit, counted=stake.counted), " of the rarest class"
        if stake.units == len(evidence.target):
            needed, of_each = max(needed, ROWS), ""
        if stake.units < needed or len(evidence.target) < ROWS:
            raise LeverRefused(
                f"cascade needs {needed} calibration rows{of_each} to promise a loss of at most {limit * stake.span:g} "
                f"in {task.aim} with {1 - DOUBT:.0%} confidence ({ROWS} rows for any promise), there are "
                f"{stake.units}; give more rows, raise quality.tolerance, or leave it out with "
                "`levers: {without: [cascade]}`"
            )


def _check(evidence: Evidence, task: Task, tolerance: float) -> None:
    """Refuse what no promise can be made about."""
    if task.problem in NUMERIC or len(evidence.answers) != 2:
        raise LeverRefused(
            f"cascade joins two members that give probabilities, the cheap one first; got {len(evidence.answers)} of a "
            f"{task.problem.value} task"
        )
    if not can_promise(task):
        raise LeverRefused(
            f"cascade can promise nothing about {task.aim}, which is no mean over independent rows; choose by "
            "accuracy, balanced_accuracy, log_loss, brier, value or (of two classes) roc_auc"
        )
    if tolerance <= 0:
        raise LeverRefused("cascade cannot promise to lose nothing at all; raise quality.tolerance above 0")


def _may_join(trial: Trial) -> bool:
    return not is_constant(trial.recipe) and not ends_with(trial.recipe, "cascade", "threshold")


def _cheaper(known: list[Trial], task: Task) -> Iterator[Trial]:
    """Yield the best of those that are worse than the first and so many times faster, each once."""
    dear, found = known[0], set[int]()
    assert dear.weight is not None
    for times in FASTER:
        for one in known[1:]:
            assert one.weight is not None
            fast = one.weight.p50.value * times <= dear.weight.p50.value
            if fast and aim_of(one, task) < aim_of(dear, task):
                if one.number not in found:
                    found.add(one.number)
                    yield one
                break
