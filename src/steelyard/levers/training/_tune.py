"""Search a learner's settings with Optuna: the next point to try, worked out anew from the trials at hand."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from steelyard.contracts import Context, Ending, Move, Prior, Setting, Space, Stage, Task, Trial
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import aim_of, ranked, trained
from steelyard.levers.training.parts import folds_of
from steelyard.recipe import Plan, Scalar, Settings, Train

RANDOM_FIRST = 5
"""Points drawn at random before the model of the good ones is believed."""
TRIES = 20
"""Points asked for before a space counts as exhausted."""
DIGITS = 4
"""Significant digits of a proposed number, so that a recipe can be read and typed."""


class Tune:
    """Proposes one point of the space of a learner's settings, from that learner's best training that is no bag.

    The study is built from the run's trials at every call and keeps nothing between calls: the same trials give
    the same proposal, after a resume too, and each finished trial of the learner leads to another one.
    """

    name = "tune"
    stage = Stage.TRAINING
    paper = (
        "Bergstra, Bardenet, Bengio, Kegl: Algorithms for Hyper-Parameter Optimization. NeurIPS 2011; by Akiba, Sano, "
        "Yanase, Ohta, Koyama: Optuna. KDD 2019, doi:10.1145/3292500.3330701"
    )
    about = "Tries other settings of a learner where its earlier trainings say they should be good (TPE)."
    forecasts = True

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose the next point, if this trial is the best training of its learner."""
        recipe = trial.recipe
        if not isinstance(recipe, Train) or not trial.ending.usable or folds_of(recipe.plan) > 1:
            return
        mine = [t for t in trained(context.trials, recipe.learner) if folds_of(_plan(t)) == 1]
        if [t.number for t in ranked(mine, context.task)[:1]] != [trial.number]:
            return
        space = context.space(recipe.learner)
        points = {name: d for name, s in space.settings.items() if (d := _distribution(s)) is not None}
        found = _next(recipe, points, space, context) if points else None
        if found is None:
            return
        done = sum(t.lever == self.name for t in mine)
        cost = training_seconds(recipe.learner, context.rows, context)
        falling = gain(
            0.05 / (1 + done), 0.0, 0.2 / (1 + done), "most of what tuning brings comes with its first tries"
        )
        yield Move(recipe=found, lever=self.name, prior=Prior(cost, falling), why=f"try {done + 1} of tuning")

    def apply(self, plan: Plan, settings: Settings) -> Plan:
        """Return the plan with some of the learner's settings changed."""
        return replace(plan, settings=plan.settings.with_(**settings))


def _plan(trial: Trial) -> Plan:
    assert isinstance(trial.recipe, Train), "only trainings are asked for their plan"
    return trial.recipe.plan


def _next(recipe: Train, points: Mapping[str, BaseDistribution], space: Space, context: Context) -> Train | None:
    """Ask the study for a training that was not tried yet; ``None`` where the space seems exhausted."""
    mine = [t for t in trained(context.trials, recipe.learner) if _comparable(t, recipe)]
    seen = {t.recipe for t in context.trials}
    seed = zlib.crc32(f"{recipe.learner} {context.seed} {len(mine)}".encode())
    with _quiet():
        study = _study(mine, points, space, context.task, seed)
        for _ in range(TRIES):
            asked = study.ask(dict(points))
            proposal = _proposal(recipe, asked.params, space)
            if proposal not in seen:
                return proposal
            study.tell(asked, state=TrialState.FAIL)
    return None


def _comparable(trial: Trial, recipe: Train) -> bool:
    other = trial.recipe
    return (
        isinstance(other, Train)
        and other.data == recipe.data
        and other.plan.parts == recipe.plan.parts
        and other.plan.rounds == recipe.plan.rounds
    )


def _proposal(recipe: Train, params: Mapping[str, Scalar], space: Space) -> Train:
    """Return the training at a point; settings equal to their defaults are left out."""
    merged = {**recipe.plan.settings, **{name: _readable(value, space, name) for name, value in params.items()}}
    kept = {name: value for name, value in merged.items() if value != space.default(name)}
    return replace(recipe, plan=replace(recipe.plan, settings=Settings(kept)))


def _readable(value: Scalar, space: Space, name: str) -> Scalar:
    if not isinstance(value, float):
        return value
    setting = space.settings[name]
    short = float(f"{value:.{DIGITS}g}")
    low, high = setting.low, setting.high
    return short if low is not None and high is not None and low <= short <= high else value


def _distribution(setting: Setting) -> BaseDistribution | None:
    """Return where a setting may lie; ``None`` for one that has no range, or that the data decide where it is unset."""
    if setting.options:
        return CategoricalDistribution(setting.options)
    if setting.low is None or setting.high is None or setting.default is None:
        return None
    whole = isinstance(setting.default, int) and float(setting.low).is_integer() and float(setting.high).is_integer()
    if whole and not isinstance(setting.default, bool):
        return IntDistribution(int(setting.low), int(setting.high), log=setting.log)
    return FloatDistribution(setting.low, setting.high, log=setting.log)


def _study(
    trials: Sequence[Trial], points: Mapping[str, BaseDistribution], space: Space, task: Task, seed: int
) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_FIRST)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        frozen = _frozen(trial, points, space, task)
        if frozen is not None:
            study.add_trial(frozen)
    return study


def _frozen(trial: Trial, points: Mapping[str, BaseDistribution], space: Space, task: Task) -> FrozenTrial | None:
    """Return a trial as Optuna knows one; ``None`` if it says nothing of a point in the space."""
    assert isinstance(trial.recipe, Train)
    state = _STATES.get(trial.ending)
    settings = space.complete(trial.recipe.plan.settings)
    params = {name: settings[name] for name in points}
    if state is None or not all(_inside(points[name], value) for name, value in params.items()):
        return None
    value = aim_of(trial, task) if state is TrialState.COMPLETE else None
    if value is not None and math.isnan(value):
        return None
    curve = dict(trial.curve) if state is TrialState.PRUNED else {}
    return optuna.trial.create_trial(
        state=state, value=value, params=params, distributions=dict(points), intermediate_values=curve
    )


_STATES = {Ending.MEASURED: TrialState.COMPLETE, Ending.PRUNED: TrialState.PRUNED}


def _inside(distribution: BaseDistribution, value: Scalar) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return distribution.low <= value <= distribution.high


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing every study on standard error; its verbosity is put back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
