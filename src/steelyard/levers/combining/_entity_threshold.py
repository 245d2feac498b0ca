"""Choose how sure a tagger has to be of an entity, by what that does to the F1 of entities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steelyard.bundle.tags import decode, outweighed
from steelyard.contracts import Context, Evidence, Floats, Move, Prior, Problem, Rule, Space, Stage, Task, Trial, Work
from steelyard.contracts.ragged import flattened
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.combining.cuts import chosen
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Recipe, Settings
from steelyard.tasks.spans import OUTSIDE, codes_of
from steelyard.tasks.sums import ratio
from steelyard.tasks.tagging import Tally, tally

AIM = "entity_f1"
GRID = np.geomspace(0.02, 4.0, 25)
"""How many times the probability of ``O`` may count."""
ENTITIES = 20
"""Entities in the rows that it is chosen on, at least."""
RESAMPLES = 200


class EntityThreshold:
    """Multiplies the probability of ``O`` by a number before tags are decided on, chosen on calibration rows.

    Where F1 counts, it pays to name what is less probable than not: the best threshold is half of the F1 that is
    reached (Lipton et al.), and rows of tags that are decided on by probability alone miss most of what is rare. The
    number is the one with the best mean F1 over resamples of the rows, which one lucky row moves less.
    """

    name = "entity-threshold"
    stage = Stage.COMBINING
    paper = (
        "Lipton, Elkan, Naryanaswamy: Thresholding Classifiers to Maximize F1 Score. ECML 2014, arXiv:1402.1892; Ye, "
        "Chai, Lee, Chieu: Optimizing F-measures: A Tale of Two Approaches. ICML 2012"
    )
    about = "Lets a tagger name entities that it is less sure of, as far as that raises the F1 of entities."
    fits_on = "calibration"
    needs_rows = 50
    space = Space()

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose it on any tagger that is chosen by the F1 of entities and was not cut already."""
        if not trial.ending.usable or not _applies(context.task) or context.calibration_rows < self.needs_rows:
            return
        recipe = Combine(lever=self.name, parents=(trial.recipe,))
        if not _open(trial.recipe) or recipe in {t.recipe for t in context.trials}:
            return
        order = [t.number for t in ranked(context.trials, context.task) if _open(t.recipe)]
        rank = 1 + (order.index(trial.number) if trial.number in order else len(order))
        bring = gain(0.06 / rank, 0.0, 0.2, "large where entities are rare: half of the F1 is the best threshold")
        why = "names entities that are less probable than not, as far as F1 gains by it"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "outside", "times": t, "chosen": {...}}``: ``O`` counts t times as much.

        ``chosen`` holds the ends of the 95% interval of the number over resamples, and the rows.

        Raises
        ------
        LeverRefused
            If the task is none of entities chosen by F1, there are too few of them, or a setting is unknown.
        """
        settings_of(self.name, self.space, Plan(settings=settings))
        if not _applies(work.task):
            raise LeverRefused(
                f"entity-threshold has nothing to choose by: it needs a tagging of entities with {AIM}; this one is "
                f"{work.task.problem.value} with {work.task.aim}"
            )
        tallies = _tallies(work.task, evidence)
        entities = int(tallies[0].true.sum())
        if len(evidence.target) < self.needs_rows or entities < ENTITIES:
            raise LeverRefused(
                f"entity-threshold needs {self.needs_rows} calibration rows with {ENTITIES} entities, there are "
                f"{len(evidence.target)} with {entities}; give more rows, or leave it out with "
                f"`levers: {{without: [{self.name}]}}`"
            )
        figures = _resampled(tallies, np.ones(len(evidence.target)) if evidence.weights is None else evidence.weights)
        times = float(GRID[np.argmax(figures.mean(axis=0))])
        low, high = (float(end) for end in np.quantile(GRID[figures.argmax(axis=1)], (0.025, 0.975)))
        return {
            "rule": "outside",
            "times": times,
            "chosen": chosen(min(low, times), max(high, times), len(evidence.target)),
        }


def _tallies(task: Task, evidence: Evidence) -> list[Tally]:
    """Return the entities of each row for each number that ``O`` may count times."""
    (scores, lengths), outside = flattened(evidence.answers[0].scores), task.classes.index(OUTSIDE)
    decided = (decode(task.classes, outweighed(scores, lengths, outside, times)) for times in GRID)
    return [tally(task.classes, evidence.target, each) for each in decided]


def _resampled(tallies: list[Tally], weights: Floats) -> Floats:
    """Return the F1 of each number on resamples of the rows, shape (resamples, numbers); 0 where it is undefined."""
    hits, called = (np.column_stack([getattr(t, part).sum(axis=1) for t in tallies]) for part in ("hits", "called"))
    true, rows = tallies[0].true.sum(axis=1), len(weights)
    drawn = np.random.default_rng(0).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES) * weights
    found: Floats = np.nan_to_num(ratio(2 * (drawn @ hits), drawn @ called + (drawn @ true)[:, None]))
    return found


def _applies(task: Task) -> bool:
    return task.problem is Problem.TAGGING and task.aim == AIM and codes_of(task.classes).spells


def _open(recipe: Recipe) -> bool:
    """Tell whether another threshold could change what a model decides to the better."""
    return not is_constant(recipe) and not ends_with(recipe, EntityThreshold.name)
