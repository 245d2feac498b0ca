"""What is counted of versions and their switches, over all processes of a server."""

from __future__ import annotations

from typing import Any

from steelyard.serve.counting import Counter, Gauge
from steelyard.serve.metrics import Metrics
from steelyard.serve.releases.roles import Roles
from steelyard.serve.releases.switches import Switch
from steelyard.serve.releases.tally import Agreement

ROLES = ("stable", "previous", "canary", "shadow")


class Counts:
    """Roles, the switches that this process wrote, and what it compared.

    Parameters
    ----------
    metrics
        Where to count.
    model
        Its name.
    """

    __slots__ = ("_compared", "_metrics", "_model", "_roles")

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self._roles: dict[tuple[str, str], Gauge] = {}
        self._compared: dict[tuple[str, str], _Compared] = {}

    def switched(self, line: Switch) -> None:
        """Count a switch that this process has written down."""
        by = line.who if line.who in {"start", "watch"} else "key"
        self._metrics.counter(
            "steelyard_switches_total",
            "Switches, by what was done and by whom.",
            model=self._model,
            action=line.action.value,
            by=by,
        ).add()

    def turned(self, roles: Roles) -> None:
        """Tell which version has which role."""
        now = {(getattr(roles, role), role) for role in ROLES if getattr(roles, role)}
        for version, role in now - self._roles.keys():
            self._roles[version, role] = self._metrics.gauge(
                "steelyard_release_role",
                "1 for each version that has a role.",
                shared=True,
                model=self._model,
                version=version,
                role=role,
            )
        for name, gauge in self._roles.items():
            gauge.set(name in now)

    def compared(self, agreements: dict[tuple[str, str], Agreement]) -> None:
        """Count what was compared since the last look."""
        for (role, version), agreement in agreements.items():
            counted = self._compared.get((role, version))
            if counted is None:
                of = {"model": self._model, "version": version, "role": role}
                counted = self._compared[role, version] = _Compared(self._metrics, of)
            counted.look(agreement)


class _Compared:
    """What two versions made of the same rows."""

    __slots__ = ("_agreement", "_counters", "_difference", "_seen")

    def __init__(self, metrics: Metrics, of: dict[str, Any]) -> None:
        about = "Rows that two versions were to compute, by outcome."
        self._counters: dict[str, Counter] = {
            outcome: metrics.counter("steelyard_compared_rows_total", about, **of, outcome=outcome)
            for outcome in ("agreed", "disagreed", "dropped", "failed")
        }
        self._difference = metrics.counter(
            "steelyard_compared_difference_total", "Sum over compared rows of the mean difference of scores.", **of
        )
        self._agreement: Agreement | None = None
        self._seen: dict[str, float] = {}

    def look(self, agreement: Agreement) -> None:
        """Count what came since the last look; one that began anew is counted from its start."""
        if agreement is not self._agreement:
            self._agreement, self._seen = agreement, {}
        now: dict[str, float] = {
            "agreed": agreement.rows - agreement.disagreed,
            "disagreed": agreement.disagreed,
            "dropped": agreement.dropped,
            "failed": agreement.failed,
        }
        for outcome, counter in self._counters.items():
            counter.add(now[outcome] - self._seen.get(outcome, 0))
        self._difference.add(agreement.difference - self._seen.get("difference", 0.0))
        self._seen = {**now, "difference": agreement.difference}
