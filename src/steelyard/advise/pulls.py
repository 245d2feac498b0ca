"""What the machine can do alone: the moves that the search has not made, in the terms of advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from steelyard.advise.actions import Action, Kind, Yard
from steelyard.contracts import Stage
from steelyard.decide.words import titles
from steelyard.recipe import Recipe, parents
from steelyard.registry import levers
from steelyard.search.chains import SAVES
from steelyard.search.moves import Ranked
from steelyard.search.spending import OVERHEAD
from steelyard.units import Estimate, How

_KINDS = {"start": Kind.LEARNER, "tune": Kind.TUNE, "clean": Kind.CLEAN}
_VERBS = {"start": "train", "tune": "tune"}
_PRIOR = "published results and the lever's own prior, updated by the run's figures"
PUBLISHED = frozenset({"start", "tune", "ensemble"})
"""Moves whose gain is read off published results and this run's figures; that of any other is its lever's prior."""

Serving = Callable[[Recipe], float | None]
"""From a measured recipe to what serving it costs over the horizon, in money; ``None`` where that is not known."""


def pulls(ranked: Sequence[Ranked], yard: Yard, serving: Serving = lambda _: None) -> Iterator[Action]:
    """Yield the best move of each lever, and every learner's first training.

    A model that is made smaller brings no quality. Its gain is what serving it saves, where that is money; without
    values it is left out, since cheaper serving cannot be added to a metric.

    Parameters
    ----------
    ranked : sequence of Ranked
        Moves as the search ranks them, best rate first.
    yard : Yard
        What gains are measured in.
    serving : callable
        What serving a measured recipe costs over the horizon.
    """
    seen = set[str]()
    for one in ranked:
        lever = one.move.lever
        if lever != "start" and lever in seen:
            continue
        seen.add(lever)
        gain = _saved(one, yard, serving) if _shrinks(lever) else _better(one, yard)
        if gain is not None:
            yield _action(one, yard, gain)


def _shrinks(lever: str) -> bool:
    return lever != "start" and levers().get(lever).stage is Stage.SHRINKING


def _saved(one: Ranked, yard: Yard, serving: Serving) -> Estimate | None:
    cost = next((found for parent in parents(one.move.recipe) if (found := serving(parent)) is not None), None)
    if cost is None or not yard.priced:
        return None
    low, value, high = (share * cost for share in SAVES)
    source = (
        f"saves {SAVES[1]:.0%} of the {cost:,.2f} {yard.worth.currency} that serving costs over the horizon (assumed)"
    )
    return Estimate(value, low, high, How.ASSUMED, f"{yard.worth.currency} over the horizon", source)


def _better(one: Ranked, yard: Yard) -> Estimate:
    value, low, high = one.gain.units
    prior = one.move.prior.gain
    how = How.ESTIMATED if one.move.lever in PUBLISHED else prior.how
    return yard.gain(value, low, high, prior.source or _PRIOR, how)


def _action(one: Ranked, yard: Yard, gain: Estimate) -> Action:
    move, prior = one.move, one.move.prior
    foreseen = max(prior.seconds.value, 1e-9)
    low, high = (end / foreseen * one.seconds + OVERHEAD for end in (prior.seconds.low, prior.seconds.high))
    source = f"about {one.seconds + OVERHEAD:.3g} s of this machine's cores; {prior.seconds.source or 'assumed'}"
    return Action(
        name=f"{_VERBS.get(move.lever, 'try')} {titles([(0, move.recipe)])[0]}",
        kind=_KINDS.get(move.lever, Kind.LEVER),
        gain=gain,
        cost=yard.seconds(one.seconds + OVERHEAD, low, high, source, How.ESTIMATED),
        evidence="; ".join(part.rstrip(".") for part in (move.why, gain.source) if part),
    )
