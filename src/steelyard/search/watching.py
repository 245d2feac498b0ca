"""Whoever looks on while a run goes: what it is told, and an onlooker that says nothing."""

from __future__ import annotations

from typing import Protocol

from steelyard.contracts import Trial
from steelyard.data import Dataset
from steelyard.recipe import Recipe
from steelyard.units import Money, Seconds


class Watcher(Protocol):
    """Is told what happens; must not take long and must not raise."""

    def data(self, dataset: Dataset) -> None:
        """Hear that the data was read, checked and split."""
        ...

    def started(self, number: int, recipe: Recipe) -> None:
        """Hear that a trial was started."""
        ...

    def reported(self, number: int, step: int, value: float) -> None:
        """Hear how good a running trial is after a step (aim, higher better)."""
        ...

    def losing(self, number: int, step: int, loss: float) -> None:
        """Hear the training loss of a running trial in a step that is under way."""
        ...

    def ended(self, trial: Trial) -> None:
        """Hear how a trial ended."""
        ...

    def phase(self, name: str) -> None:
        """Hear what the run turns to: ``"deciding"``, ``"refitting"`` ..."""
        ...

    def spent(self, elapsed: Seconds, remaining: Seconds, money: Money) -> None:
        """Hear what was spent and how much time is left, a few times a second."""
        ...


class Silent:
    """Looks on and says nothing."""

    def data(self, dataset: Dataset) -> None:
        """Ignore it."""

    def started(self, number: int, recipe: Recipe) -> None:
        """Ignore it."""

    def reported(self, number: int, step: int, value: float) -> None:
        """Ignore it."""

    def losing(self, number: int, step: int, loss: float) -> None:
        """Ignore it."""

    def ended(self, trial: Trial) -> None:
        """Ignore it."""

    def phase(self, name: str) -> None:
        """Ignore it."""

    def spent(self, elapsed: Seconds, remaining: Seconds, money: Money) -> None:
        """Ignore it."""
