"""Average models that were trained on different parts of the rows: bagging over folds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from steelyard.contracts import Context, Move, Prior, Stage, Trial
from steelyard.levers.priors import bag_seconds, gain
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.training.parts import BAG, folds_of, with_part
from steelyard.recipe import Plan, Settings, Step, Train

FOLDS = 5
"""Folds of a proposed bag: each of its models trains on four fifths of the rows."""
FEW = 100
"""Rows below which a fold is too small to stop a training by."""


class Bag:
    """Trains one model on all folds but one, for each fold, and ships one graph that averages their scores.

    Each model stops early on the fold it did not train on, so that every row trains, and every row stops a
    training; averaging lowers the variance of unstable learners. The rows a trial is scored on stand apart from
    the folds. A bag takes the time of ``folds`` trainings, and as many models run for a row.
    """

    name = BAG
    stage = Stage.TRAINING
    paper = (
        "Breiman: Bagging Predictors. Machine Learning 1996, doi:10.1007/BF00058655; over folds: Parmanto, Munro, "
        "Doyle: Reducing Variance of Committee Prediction with Resampling Techniques. Connection Science 1996"
    )
    about = "Averages models of one kind, each trained on all folds of the rows but one and stopped early on that one."

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose a bag of the best training so far among those in rounds, which are the ones that vary."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable or context.rows < FEW:
            return
        if not _bags(recipe, context):
            return
        rivals = [t for t in ranked(trained(context.trials), context.task) if _bags(t.recipe, context)]
        if rivals[:1] != [trial]:
            return
        bagged = replace(recipe, plan=self.apply(recipe.plan, Settings(folds=FOLDS)))
        if bagged in {t.recipe for t in context.trials}:
            return
        rows = context.rows * (FOLDS - 1) // FOLDS
        cost = bag_seconds(recipe.learner, rows, context, FOLDS)
        done = sum(t.lever == self.name for t in context.trials)
        bring = gain(0.005 / (1 + done), -0.01, 0.03, "averaging lowers the variance of trees and nets, rarely by much")
        why = f"averages {FOLDS} models, each trained without one fold and stopped early on it"
        yield Move(recipe=bagged, lever=self.name, prior=Prior(cost, bring), why=why)

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan bagged over the setting ``folds``, from 2 to 20; rounds fixed before are found anew.

        Raises
        ------
        LeverRefused
            If the setting is out of its range, or another one is given.
        """
        changed = replace(with_part(plan, Step(lever=self.name, settings=settings)), rounds=None)
        folds_of(changed)
        return changed


def _bags(recipe: object, context: Context) -> bool:
    """Tell whether a recipe can be bagged: one model that is trained in rounds."""
    if not isinstance(recipe, Train) or folds_of(recipe.plan) > 1 or recipe.plan.rounds is not None:
        return False
    return "rounds" in context.learner(recipe.learner).honours
