"""Train on smaller images and shorter texts: the cheapest lever of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from steelyard.contracts import Context, Move, Prior, Setting, Trial
from steelyard.learners.nets.resize import NAME, RESIZE
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Plan, Settings, Train

LENGTH = "length"
"""The setting of nets over tokens that says how many they read of a text."""
SHARES = (0.5, 0.25)
SHORTEST = 16
"""Tokens below which no shorter text is proposed."""


class Resize(NetLever):
    """Shrinks what a net reads: half the side of an image is a quarter of its pixels, and of the time for each.

    What ships is smaller in the same measure: images are shrunk by the front end, and texts are cut there. The time of
    a training goes with the pixels, and with the tokens where texts are that long.
    """

    name = NAME
    paper = (
        "Touvron, Vedaldi, Douze, Jegou: Fixing the Train-Test Resolution Discrepancy. NeurIPS 2019, arXiv:1906.06423; "
        "Tan, Le: EfficientNet. ICML 2019, arXiv:1905.11946"
    )
    about = (
        "Trains and serves on smaller images, or on the beginning of texts: cheaper in the square, or in proportion."
    )
    space: ClassVar = {
        **RESIZE,
        LENGTH: Setting(default=256, low=8, high=2048, log=True, unit="tokens", about="Most tokens of a text."),
    }
    choices = (
        Option(
            settings=Settings(share=0.5),
            gain=(0.0, -0.1, 0.01),
            seconds=0.35,
            source="assumed: a quarter of the pixels; CIFAR-10 at 16 pixels a side loses some points, textures more",
            why="a quarter of the pixels, in training and for every prediction",
        ),
        Option(
            settings=Settings(share=0.7),
            gain=(0.0, -0.05, 0.01),
            seconds=0.6,
            source="assumed: half of the pixels",
            why="half of the pixels, in training and for every prediction",
        ),
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose smaller images; of learners with a length, shorter texts."""
        yield from super().moves(trial, context)
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable or recipe.plan.rounds is not None:
            return
        space = context.space(recipe.learner).settings
        mine = trained(context.trials, recipe.learner)
        if LENGTH not in space or [t.number for t in ranked(mine, context.task)[:1]] != [trial.number]:
            return
        whole = int(recipe.plan.settings.number(LENGTH, float(str(space[LENGTH].default))))
        seen = {t.recipe for t in context.trials}
        for share in SHARES:
            length = round(whole * share)
            shorter = replace(recipe, plan=self.apply(recipe.plan, Settings(length=length)))
            if length >= SHORTEST and shorter not in seen:
                cost = training_seconds(recipe.learner, context.rows, context)
                seconds = cost.scaled(share, unit="s", how=cost.how, source=f"{cost.source}; assumed: as the tokens")
                bring = gain(0.0, -0.1, 0.01, "assumed: much of what a text says stands at its beginning")
                why = f"the first {length} tokens of a text instead of {whole}"
                yield Move(recipe=shorter, lever=self.name, prior=Prior(seconds, bring), why=why)

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with images at a share of their size, or with texts cut to a length.

        Raises
        ------
        SettingsRefused
            If the lever has no such setting, or a value is out of range.
        """
        resized = super().apply(plan, settings)
        if LENGTH not in settings:
            return resized
        if set(settings) == {LENGTH}:
            resized = plan
        return replace(resized, settings=plan.settings.with_(length=settings[LENGTH]))
