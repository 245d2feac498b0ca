"""Vary the training rows anew in every epoch: one file for all kinds of columns, options by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from steelyard.contracts import Context, Kind, Move, Prior, Setting, Stage, Trial
from steelyard.learners._settings import SettingsRefused
from steelyard.learners.nets.augment import NAME, OFFERS, OPTIONS, Offer, options_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training.parts import with_part
from steelyard.recipe import Plan, Settings, Step, Train


class Augment:
    """Varies training rows in ways that should not change what they are, and lets validation rows judge.

    Nothing is assumed of the data: a mirrored digit is another digit, a mirrored cat is a cat, so each option is a
    trial of its own and stays where it won. What was best so far is what the next one is added to.
    """

    name = NAME
    stage = Stage.TRAINING
    paper = (
        "Cubuk, Zoph, Shlens, Le: RandAugment: Practical Automated Data Augmentation with a Reduced Search Space. "
        "NeurIPS 2020, arXiv:1909.13719; Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. "
        "ICLR 2018, arXiv:1710.09412; DeVries, Taylor: Improved Regularization of Convolutional Neural Networks with "
        "Cutout. arXiv:1708.04552"
    )
    about = "Varies training rows anew in every epoch: images mirrored, cut, turned or mixed, and so on by kind."

    space: ClassVar[Mapping[str, Setting]] = {
        n: setting for options in OPTIONS.values() for n, setting in options.items()
    }

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose each option of the kinds at hand that its learner has not tried, if this is its best training."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable:
            return
        if NAME not in getattr(context.learner(recipe.learner), "honours", ()):
            return
        mine = trained(context.trials, recipe.learner)
        if [t.number for t in ranked(mine, context.task)[:1]] != [trial.number]:
            return
        now = _asked(recipe.plan)
        seen = {_asked(t.recipe.plan) for t in mine if isinstance(t.recipe, Train)}
        for offer in _offers(context):
            settings = Settings({**now, **offer.settings})
            if settings not in seen:
                seen.add(settings)
                yield self._move(recipe, settings, offer, context)

    def _move(self, recipe: Train, settings: Settings, offer: Offer, context: Context) -> Move:
        cost = training_seconds(recipe.learner, context.rows, context)
        cost = cost.scaled(offer.slower, unit="s", how=cost.how, source=cost.source)
        bring = gain(*offer.gain, "assumed from published ablations on CIFAR-10; on a few kinds of images it harms")
        changed = replace(recipe, plan=self.apply(recipe.plan, settings))
        return Move(recipe=changed, lever=self.name, prior=Prior(cost, bring), why=offer.why)

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with training rows varied; options that a kind does not have are refused.

        Raises
        ------
        LeverRefused
            If an option is unknown or out of range.
        """
        try:
            for kind in OPTIONS:
                options_of(kind, settings)
        except SettingsRefused as refusal:
            raise LeverRefused(str(refusal)) from None
        return with_part(plan, Step(lever=self.name, settings=settings))


def _asked(plan: Plan) -> Settings:
    return next((step.settings for step in plan.parts if step.lever == NAME), Settings())


def _offers(context: Context) -> Iterator[Offer]:
    kinds: set[Kind] = {column.kind for column in context.schema.features}
    for kind, offers in OFFERS.items():
        if kind in kinds:
            yield from offers
