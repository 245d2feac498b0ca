"""What a pull should cost and bring before anything was measured: assumed figures that say where they come from.

They depend on no clock, so that a resumed run proposes what an uninterrupted one does.
"""

from __future__ import annotations

from steelyard.contracts import Context
from steelyard.units import Estimate, How

FITTING_A_RULE = Estimate(
    2.0, 0.2, 20.0, How.ASSUMED, "s", "fitting a rule on answers at hand and measuring the bundle takes seconds"
)


def gain(value: float, low: float, high: float, source: str) -> Estimate:
    """Return an assumed gain: a share of the way from the constant model to a perfect one, 0 to 1."""
    return Estimate(value, low, high, How.ASSUMED, "", source)


def training_seconds(learner: str, rows: int, context: Context) -> Estimate:
    """Return what one trial of a learner should take on one core, in s: every fold of it, on ``rows`` rows."""
    one = context.learner(learner).prior(context.task, context.schema, rows).seconds
    return one.scaled(max(context.parts, 1), unit="s", how=How.ASSUMED, source=f"{learner}'s own prior, per fold")


def bag_seconds(learner: str, rows: int, context: Context, folds: int) -> Estimate:
    """Return what one trial of a bag of ``folds`` models should take on one core, in s; 1 fold is no bag."""
    one = training_seconds(learner, rows, context)
    return one if folds == 1 else one.scaled(folds, unit="s", source=f"{one.source}, times {folds} models")
