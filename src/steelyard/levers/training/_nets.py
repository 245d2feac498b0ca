"""What levers on the training of nets share: a lever is a name, a paper, its settings, and the options it proposes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from steelyard.contracts import Context, Move, Prior, Setting, Space, Stage, Trial
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked, trained
from steelyard.levers.training.parts import with_part
from steelyard.recipe import Plan, Settings, Step, Train


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to pull a lever, with what is expected of it.

    Attributes
    ----------
    settings
        Those of the part; at least one, those at their defaults may be left out.
    gain
        Share of the way from the constant model to a perfect one: likely, lowest, highest; none is below 0 where
        the lever only saves.
    seconds
        Times as long as a training without it takes; below 1 it saves.
    source
        Where both figures come from; ``"assumed: ..."`` where they are assumed.
    why
        For the user.
    """

    settings: Settings
    gain: tuple[float, float, float]
    seconds: float
    source: str
    why: str


class NetLever:
    """Proposes its part on the best training of each learner that honours it, once for each option.

    A derived lever has ``name``, ``paper``, ``about``, ``space`` and either ``choices``, its options in the order in
    which they are proposed, or an :meth:`options` of its own where they depend on the task or the trials so far.
    """

    name: str
    paper: str
    about: str
    stage = Stage.TRAINING
    space: ClassVar[Mapping[str, Setting]]
    choices: ClassVar[tuple[Option, ...]] = ()

    def options(self, trial: Trial, context: Context) -> Iterable[Option]:
        """Return the options for a trial: all of :attr:`choices` unless a lever looks closer."""
        del trial, context
        return self.choices

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose each option that was not tried with this learner yet, if this trial is its best training."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable or recipe.plan.rounds is not None:
            return
        mine = trained(context.trials, recipe.learner)
        if [t.number for t in ranked(mine, context.task)[:1]] != [trial.number]:
            return
        if self.name not in getattr(context.learner(recipe.learner), "honours", ()):
            return
        tried = {part.settings for t in mine if isinstance(t.recipe, Train) for part in _parts(t.recipe, self.name)}
        for option in self.options(trial, context):
            if option.settings in tried:
                continue
            yield Move(
                recipe=replace(recipe, plan=self.apply(recipe.plan, option.settings)),
                lever=self.name,
                prior=_prior(option, recipe, context),
                why=option.why,
            )

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with this lever's part, in place of an earlier one.

        Raises
        ------
        SettingsRefused
            If the lever has no such setting, or a value is out of range.
        """
        settings_of(self.name, Space(self.space), Plan(settings=settings))
        return with_part(plan, Step(lever=self.name, settings=settings))


def _parts(recipe: Train, lever: str) -> Iterator[Step]:
    return (part for part in recipe.plan.parts if part.lever == lever)


def _prior(option: Option, recipe: Train, context: Context) -> Prior:
    cost = training_seconds(recipe.learner, context.rows, context)
    seconds = cost.scaled(option.seconds, unit="s", how=cost.how, source=f"{cost.source}; {option.source}")
    return Prior(seconds, gain(*option.gain, option.source))
