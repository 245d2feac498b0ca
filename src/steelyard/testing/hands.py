"""A lever under test in a situation: what it proposes, what it does, how it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from steelyard.contracts import (
    CombiningLever,
    Context,
    DataLever,
    DistillingLever,
    Evidence,
    Lever,
    Move,
    ShrinkingLever,
    Stage,
    TrainingLever,
    Trial,
)
from steelyard.errors import SteelyardError
from steelyard.recipe import Combine, Recipe, Settings, Shrink, Train
from steelyard.testing.pupils import Watch
from steelyard.testing.situations import Situation

MOST_MOVES = 100
"""A lever proposes fewer moves than this from one trial."""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """A lever under test, in a situation."""

    lever: Lever
    situation: Situation

    def moves(self, context: Context | None = None) -> list[tuple[Trial, Move]]:
        """Return every move from every trial of a context, with the trial it starts from."""
        known = self.situation.context if context is None else context
        return [(t, move) for t in known.trials for move in islice(self.lever.moves(t, known), MOST_MOVES)]

    @property
    def settings(self) -> Settings:
        """The settings with which the lever itself first proposes to be pulled; none where it names none."""
        named = (_settings(move.recipe, self.lever.name) for _, move in self.moves())
        return next((own for own in named if own is not None), Settings())

    @property
    def evidence(self) -> Evidence:
        """The answers of as many members as the lever's own moves join, of three where it proposes none."""
        joined = [len(m.recipe.parents) for _, m in self.moves() if isinstance(m.recipe, Combine)]
        return self.situation.first(min(joined, default=3))


def _settings(recipe: Recipe, lever: str) -> Settings | None:
    """Return the settings of a lever's own step in a recipe; ``None`` where it left no step of its own."""
    if isinstance(recipe, Train):
        steps = (*recipe.data, *recipe.plan.parts)
        return next((step.settings for step in steps if step.lever == lever), None)
    return recipe.settings if isinstance(recipe, Shrink | Combine) and recipe.lever == lever else None


def act(hand: Hand) -> Any:
    """Pull the lever on what its situation holds, as it would itself; ``None`` where it refuses to."""
    try:
        return pull(hand, hand.settings)
    except SteelyardError:
        return None


def refusal(hand: Hand, settings: Settings, evidence: Evidence | None = None) -> str:
    """Return the sentence with which the lever refuses, empty where it does not."""
    try:
        pull(hand, settings, evidence)
    except SteelyardError as problem:
        return str(problem)
    return ""


def pull(hand: Hand, settings: Settings, evidence: Evidence | None = None) -> Any:
    """Pull the lever: ``apply``, ``teach`` or ``fit``, by its stage."""
    lever, one = hand.lever, hand.situation
    match lever.stage:
        case Stage.DATA:
            assert isinstance(lever, DataLever), _lacks(lever)
            return lever.apply(one.rows, settings, one.work, Watch())
        case Stage.TRAINING:
            assert isinstance(lever, TrainingLever), _lacks(lever)
            return lever.apply(one.plan, settings)
        case Stage.SHRINKING if isinstance(lever, DistillingLever):
            return lever.teach(one.rows, one.teacher, settings, one.work, Watch())
        case Stage.SHRINKING:
            assert isinstance(lever, ShrinkingLever), _lacks(lever)
            return lever.apply(one.artefact, one.rows, settings, one.work, Watch())
        case Stage.COMBINING:
            assert isinstance(lever, CombiningLever), _lacks(lever)
            return lever.fit(hand.evidence if evidence is None else evidence, settings, one.work)


def _lacks(lever: Lever) -> str:
    return f"{lever.name} lacks a member of the protocol of its stage, {lever.stage.value} (steelyard.contracts)"
