"""What a spec asks of a trial, while the run goes on: its limits of serving, its quality, and what serving costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steelyard.contracts import Schema, Task, Trial
from steelyard.decide import serving_cost
from steelyard.decide.candidates import there
from steelyard.decide.targets import edge_figures, hold, serving_figures, serving_targets, targets
from steelyard.money import Prices
from steelyard.spec import Spec


@dataclass(frozen=True, slots=True)
class Wishes:
    """Holds trials against a spec, at the prices in force."""

    spec: Spec
    task: Task
    prices: Prices
    schema: Schema

    def meets(self, trial: Trial) -> bool:
        """Tell whether a trial keeps the limits of serving and of the device, as far as it is known."""
        weight = trial.weight
        if weight is None:
            return True
        cost = serving_cost(weight, self.prices, self.spec, trial.recipe, self.schema)
        got = serving_figures(weight.p95, weight.size_bytes, cost)
        got |= edge_figures(there(weight, self.spec), weight.memory_bytes, weight.size_bytes)
        held = [hold(target, got[target.name]) for target in serving_targets(self.spec)]
        return all(check.met for check in held if not math.isnan(check.got.value))

    def reaches(self, trial: Trial) -> bool:
        """Tell whether a trial reaches the quality that was asked for; one that was not measured does not."""
        served = {target.name for target in serving_targets(self.spec)}
        asked = [target for target in targets(self.spec, self.task) if target.name not in served]
        found = trial.validation
        return all(target.name in found and hold(target, found[target.name]).met for target in asked)

    def serving(self, trial: Trial) -> float | None:
        """Return what serving a weighed trial costs, in money per 1,000 decisions, where decisions have a value."""
        if trial.weight is None or self.task.aim != "value":
            return None
        return serving_cost(trial.weight, self.prices, self.spec, trial.recipe, self.schema).value / 1000
