"""Names to learners, levers and metrics. Built-in ones come in through the same entry points as yours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from steelyard.contracts import (
    CombiningLever,
    DataLever,
    DistillingLever,
    Learner,
    Lever,
    ShrinkingLever,
    Stage,
    TrainingLever,
)
from steelyard.errors import EXTRA_OF, MissingExtra, SteelyardError, nearest

T = TypeVar("T")


class Unregistered(SteelyardError):
    """No such name, or what is registered under it does not keep its contract."""


class Registry(Generic[T]):
    """The things of one kind that entry points of a group provide, loaded when first asked for.

    An entry point names a class without arguments. It is checked when it is loaded: its ``name`` must be the
    entry point's, and it must have every member of its protocol.
    """

    def __init__(self, kind: str, group: str, check: Callable[[object], str | None]) -> None:
        self.kind, self.group, self._check = kind, group, check
        self._made: dict[str, T] = {}

    @functools.cached_property
    def _points(self) -> dict[str, EntryPoint]:
        points: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            other = points.get(point.name)
            if other is not None and other.value != point.value:
                raise Unregistered(
                    f"{self.kind} {point.name!r} is registered twice, by {other.value} and {point.value}; "
                    "uninstall one of the two packages"
                )
            points[point.name] = point
        return points

    def names(self) -> tuple[str, ...]:
        """Return every known name, sorted, without loading anything."""
        return tuple(sorted(self._points | self._made))

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises
        ------
        Unregistered
            If there is none (the nearest name is suggested), or it breaks its contract.
        """
        if name not in self._made:
            point = self._points.get(name)
            if point is None:
                raise Unregistered(
                    f"no {self.kind} named {name!r}{nearest(name, self.names())}; known: {', '.join(self.names())}"
                )
            self.add(name, self._load(point))
        return self._made[name]

    def _load(self, point: EntryPoint) -> object:
        """Import what an entry point names; say which extra brings what it needs.

        Raises
        ------
        MissingExtra
            If a package is not installed that an extra of Steelyard brings.
        """
        try:
            return point.load()()
        except ImportError as problem:
            top = (problem.name or "").split(".")[0]
            if isinstance(problem, MissingExtra) or top not in EXTRA_OF:
                raise
            what = f"{self.kind} {point.name!r} needs {top!r}: pip install 'steelyard[{EXTRA_OF[top]}]'"
            raise MissingExtra(what, name=top) from problem

    def add(self, name: str, thing: object) -> None:
        """Register a thing by hand (tests, notebooks); refuses what does not keep the contract."""
        if getattr(thing, "name", None) != name:
            raise Unregistered(
                f"{self.kind} {name!r} calls itself {getattr(thing, 'name', None)!r}; the two must be the same"
            )
        if complaint := self._check(thing):
            raise Unregistered(f"{self.kind} {name!r} {complaint}")
        self._made[name] = cast("T", thing)


_BY_STAGE = {
    Stage.DATA: (DataLever,),
    Stage.TRAINING: (TrainingLever,),
    Stage.SHRINKING: (ShrinkingLever, DistillingLever),
    Stage.COMBINING: (CombiningLever,),
}
"""What a lever of each stage may be."""


def _check_learner(thing: object) -> str | None:
    return None if isinstance(thing, Learner) else "lacks a member of the Learner protocol (steelyard.contracts)"


def _check_lever(thing: object) -> str | None:
    stage = getattr(thing, "stage", None)
    if not isinstance(stage, Stage):
        return f"has no stage; it must be one of {', '.join(Stage)}"
    if not isinstance(thing, _BY_STAGE[stage]):
        names = " or the ".join(protocol.__name__ for protocol in _BY_STAGE[stage])
        return f"lacks a member of the {names} protocol (steelyard.contracts)"
    if not thing.paper:
        return "names no paper"
    return None


@cache
def learners() -> Registry[Learner]:
    """Return the registry of learners (entry points ``steelyard.learners``)."""
    return Registry("learner", "steelyard.learners", _check_learner)


@cache
def levers() -> Registry[Lever]:
    """Return the registry of levers (entry points ``steelyard.levers``)."""
    return Registry("lever", "steelyard.levers", _check_lever)
