"""What is counted of an escalation, over all processes of a server."""

from __future__ import annotations

from typing import Any

from steelyard.serve.escalation.plan import Plan
from steelyard.serve.escalation.stage import Outcome
from steelyard.serve.metrics import Metrics


class Counts:
    """Rows by what became of them, money, alarms, and the promise beside them.

    Parameters
    ----------
    metrics
        Where to count.
    plan
        What was promised, and what a row costs.
    model, version
        Of the bundle.
    """

    __slots__ = ("_of", "_price", "alarms", "metrics", "money", "outcomes", "rows", "unsure")

    def __init__(self, metrics: Metrics, plan: Plan, model: str, version: str) -> None:
        self.metrics = metrics
        of: dict[str, Any] = {"model": model, "version": version}
        self._of, self._price = of, float(plan.price.amount)
        self.rows = metrics.counter("steelyard_escalation_rows_total", "Rows that were looked at for escalation.", **of)
        self.unsure = metrics.counter(
            "steelyard_escalation_unsure_rows_total", "Rows of which the bundle was not sure.", **of
        )
        self.outcomes = {
            outcome: metrics.counter(
                "steelyard_escalations_total", "Unsure rows by what became of them.", **of, outcome=outcome
            )
            for outcome in Outcome
        }
        self.money = metrics.counter(
            "steelyard_escalation_money_total", "Money spent on escalated rows.", **of, currency=plan.price.currency
        )
        for bound in ("low", "high"):
            metrics.gauge(
                "steelyard_escalation_promised_share",
                "Share of unsure rows that calibration promised, 95%.",
                shared=True,
                **of,
                bound=bound,
            ).set(getattr(plan.escalated, bound))
        self.alarms = {
            side: metrics.counter(
                "steelyard_escalation_alarms_total",
                "How often evidence against the promised share sufficed.",
                **of,
                side=side,
            )
            for side in ("above", "below")
        }

    def spent(self, rows: int) -> None:
        """Count rows that are paid for."""
        self.money.add(rows * self._price)
