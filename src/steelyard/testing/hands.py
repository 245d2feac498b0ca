"""A lever under test in a situation: what it proposes, what it does, how it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from steelyard.contracts import (
    CombiningLever,
    Context,
    DataLever,
    Evidence,
    Lever,
    Move,
    ShrinkingLever,
    Stage,
    TrainingLever,
    Trial,
)
from steelyard.errors import SteelyardError
from steelyard.recipe import Combine, Settings
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
    def evidence(self) -> Evidence:
        """The answers of as many members as the lever's own moves join, of three where it proposes none."""
        joined = [len(m.recipe.parents) for _, m in self.moves() if isinstance(m.recipe, Combine)]
        return self.situation.first(min(joined, default=3))


def act(hand: Hand, settings: Settings | None = None) -> Any:
    """Pull the lever on what its situation holds; ``None`` where it refuses to."""
    try:
        return pull(hand, Settings() if settings is None else settings)
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
    """Pull the lever: ``apply`` or ``fit``, by its stage."""
    lever, one = hand.lever, hand.situation
    match lever.stage:
        case Stage.DATA:
            assert isinstance(lever, DataLever), _lacks(lever)
            return lever.apply(one.rows, settings, one.work, Watch())
        case Stage.TRAINING:
            assert isinstance(lever, TrainingLever), _lacks(lever)
            return lever.apply(one.plan, settings)
        case Stage.SHRINKING:
            assert isinstance(lever, ShrinkingLever), _lacks(lever)
            return lever.apply(one.artefact, one.rows, settings, one.work, Watch())
        case Stage.COMBINING:
            assert isinstance(lever, CombiningLever), _lacks(lever)
            return lever.fit(hand.evidence if evidence is None else evidence, settings, one.work)


def _lacks(lever: Lever) -> str:
    return f"{lever.name} lacks a member of the protocol of its stage, {lever.stage.value} (steelyard.contracts)"
