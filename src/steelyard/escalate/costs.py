"""What a million decisions cost alone, by the dear stage, and by the rule; and how good each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Answer, Task
from steelyard.escalate.calibrate import Calibrated
from steelyard.measure import quality
from steelyard.money.serving import MILLION
from steelyard.serve.escalation.plan import Escalated
from steelyard.units import Estimate, How, Money


def costs(bundle: Estimate, price: Money, escalated: Escalated) -> dict[str, dict[str, object]]:
    """Return the cost of a million decisions, and what the rule saves against always and never escalating.

    Parameters
    ----------
    bundle
        What a million predictions of the bundle cost, in the currency of the price.
    price
        Of one escalated row.
    escalated
        The share that the rule escalates.
    """
    unit, every = f"{price.currency} per 1,000,000 decisions", float(price.amount) * MILLION
    shares = Estimate(escalated.share, escalated.low, escalated.high)
    passed = shares.scaled(every, unit=unit, how=How.ESTIMATED)
    ruled = Estimate(
        bundle.value + passed.value,
        bundle.low + passed.low,
        bundle.high + passed.high,
        How.ESTIMATED,
        unit,
        "the bundle for every row, and the price of a row for the share that is escalated",
    )
    saved = Estimate(every - ruled.value, every - ruled.high, every - ruled.low, How.ESTIMATED, unit)
    return {
        "never": replace(bundle, unit=unit).to_json(),
        "always": Estimate.exact(
            every, how=How.ESTIMATED, unit=unit, source="the price of a row, and no bundle"
        ).to_json(),
        "rule": ruled.to_json(),
        "saved_against_always": saved.to_json(),
        "paid_over_never": passed.to_json(),
    }


def against_another(
    task: Task, target: NDArray[Any], cheap: Answer, dear: Answer, calibrated: Calibrated
) -> dict[str, Mapping[str, object]]:
    """Return the aim of the bundle, of the other model, and of the rule, with intervals."""
    on = calibrated.passed_on
    scores = np.where(on[:, None], dear.scores, cheap.scores)
    joined = Answer(scores, np.where(on, dear.decided, cheap.decided), amounts=cheap.amounts)
    return {
        name: quality(task, target, answer, names=[task.aim])[task.aim].to_json()
        for name, answer in (("never", cheap), ("always", dear), ("rule", joined))
    }


def with_persons(
    target: NDArray[Any], cheap: Answer, calibrated: Calibrated, accuracy: float
) -> dict[str, Mapping[str, object]]:
    """Return the share of wrong decisions of the bundle, of persons (assumed), and of the rule, and among kept rows."""
    wrong = np.not_equal(cheap.decided, target)
    kept = ~calibrated.passed_on
    assumed = f"persons are right with a chance of {accuracy:g} (assumed)"
    both = float((wrong & kept).mean()) + (1 - accuracy) * float((~kept).mean())
    return {
        "never": Estimate.exact(float(wrong.mean())).to_json(),
        "always": Estimate.exact(1 - accuracy, how=How.ASSUMED, source=assumed).to_json(),
        "rule": Estimate.exact(both, how=How.ESTIMATED, source=assumed).to_json(),
        "kept": Estimate.exact(float(wrong[kept].mean()) if kept.any() else 0.0).to_json(),
    }
