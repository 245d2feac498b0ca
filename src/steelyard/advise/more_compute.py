"""More of the machine: what another stretch of search should bring, read off the score against the seconds spent."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.advise.actions import Action, Kind, Yard
from steelyard.advise.curves import Curve, Prior, TooFewSizes
from steelyard.contracts import Learner, Task, Trial
from steelyard.money import Price
from steelyard.search.scale import is_constant
from steelyard.tasks import metric
from steelyard.units import Estimate, How, Seconds

HOUR = 3600.0
FASTER = (1.0, 10.0, 50.0)
"""How many times faster than these cores an accelerator trains a net; assumed, and wide: low, middle, high."""
USUAL = Prior(step=-0.02, spread=0.03, noise=0.005, drift=0.01)
"""Of searches: a doubling of the time takes away 2% of the error; assumed, and corrected by the run's own history."""


def history(trials: Sequence[Trial], task: Task) -> list[tuple[float, float]]:
    """Return the best score so far (higher better) against the seconds of trials spent, one point a measured trial.

    Trials that came to nothing count with their seconds; the constant model is left out.
    """
    aim, spent, best, found = metric(task.aim), 0.0, float("-inf"), []
    for trial in trials:
        spent += float(trial.seconds)
        if trial.ending.usable and not is_constant(trial) and task.aim in trial.validation:
            best = max(best, aim.higher_is_better(trial.validation[task.aim].value))
            found.append((spent, best))
    return found


def search_action(points: Sequence[tuple[float, float]], top: float, yard: Yard) -> Action | None:
    """Return searching on for as long as was searched so far; ``None`` where the history is too short to say."""
    try:
        curve = Curve.of([s for s, _ in points], [y for _, y in points], top=top, prior=USUAL)
    except TooFewSizes:
        return None
    told = curve.gain(curve.most, 2 * curve.most)
    low, high = told.interval(0.95)
    source = (
        f"best score against seconds over {len(points)} measured trials, taken from {curve.most:.0f} s to twice that"
    )
    gain = yard.gain(max(0.0, told.value), max(0.0, low), max(0.0, high), source)
    cost = yard.seconds(curve.most, curve.most, curve.most, "the cores of the run at their price", How.ESTIMATED)
    name = f"search on for another {Seconds(curve.most):.0f} s on this machine"
    return Action(name=name, kind=Kind.COMPUTE, gain=gain, cost=cost, evidence=source)


def accelerator_action(
    points: Sequence[tuple[float, float]],
    top: float,
    yard: Yard,
    willing: Sequence[Learner],
    hour: Price | None = None,
) -> Action | None:
    """Return renting an accelerator for an hour; ``None`` where no learner would use one, or the history is too short.

    What it brings is what the curve says of as many seconds of these cores as the accelerator is worth
    (:data:`FASTER`, assumed).
    """
    nets = [one.name for one in willing if "torch" in getattr(one, "modules", ())]
    if not nets:
        return None
    try:
        curve = Curve.of([s for s, _ in points], [y for _, y in points], top=top, prior=USUAL)
    except TooFewSizes:
        return None
    ends = [curve.gain(curve.most, curve.most + HOUR * times) for times in FASTER]
    value, high = max(0.0, ends[1].value), max(0.0, ends[2].interval(0.95)[1])
    source = (
        f"best score against seconds, for {' and '.join(nets)} on a GPU taken as {FASTER[1]:g} times these cores "
        f"({FASTER[0]:g} to {FASTER[2]:g}, assumed)"
    )
    gain = yard.gain(value, 0.0, max(high, value), source, How.ASSUMED)
    cost = None
    if hour is not None:
        amount = float(hour.amount.amount)
        cost = Estimate.exact(amount, how=How.ASSUMED, unit=hour.amount.currency, source=hour.cited)
    even = yard.break_even(gain, 1, "hour")
    return Action(
        name="rent a GPU for an hour",
        kind=Kind.COMPUTE,
        gain=gain,
        cost=cost,
        evidence=source,
        break_even=even,
        per="hour",
    )
