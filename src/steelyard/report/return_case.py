"""Everything that a run's return follows from, as inputs with their ranges, and the money that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from steelyard.contracts import Floats, Ints, Trial, Weight
from steelyard.decide import serving_cost
from steelyard.errors import Exit, RunUnreadable, SteelyardError
from steelyard.money.assumptions import band, resampled
from steelyard.money.returns import Band, Flows
from steelyard.recipe import BASELINES, Recipe, Train
from steelyard.report.outcomes_money import Sample, people_value, sample
from steelyard.search.loop import SECONDS_A_MONTH
from steelyard.search.record import RunRecord
from steelyard.search.store import Store
from steelyard.spec import Returns, Spread, Traffic
from steelyard.units import Estimate

DRAWS = 2000
"""Joint draws of quality, latency and what is assumed."""
STRATA = 64
"""Points of equal probability that latency is drawn from: the middles of as many strata."""
_Z95 = 1.959963984540054
_Z90 = 1.6448536269514722
_MILLION = 1_000_000
NOTHING = Returns()

Inputs = Mapping[str, Any]
"""Input by key: a number, or one for each draw."""


class NoReturn(SteelyardError):
    """A run of which no return can be told; the sentence says what is missing."""

    exit_code = Exit.SPEC_INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The chosen candidate of a run as an investment, beside doing nothing, people and the incumbent.

    ``bands`` holds each input by key, ``sample`` what a decision of each trial is worth; ``order`` starts with the
    rows as they are, 0, and names for each draw the resample that goes with it.
    """

    record: RunRecord
    chosen: Trial
    weight: Weight
    incumbent: Trial | None
    constant: Trial | None
    sample: Sample
    order: Ints
    bands: Mapping[str, Band]

    @property
    def asked(self) -> Returns:
        """What the spec says about returns."""
        return self.record.spec.returns or NOTHING

    @property
    def traffic(self) -> Traffic:
        """The traffic of the spec."""
        traffic = self.record.spec.serving.traffic
        assert traffic is not None, "a case has traffic"
        return traffic

    @property
    def centre(self) -> dict[str, float]:
        """Every input at its centre."""
        return {key: each.centre for key, each in self.bands.items()}

    @property
    def draws(self) -> dict[str, Floats]:
        """Every input drawn together, shape (draws,) each."""
        return {key: each.draws for key, each in self.bands.items()}

    def flows(self, inputs: Inputs) -> Flows:
        """Return the money of the chosen candidate, against doing nothing."""
        every = math.inf if self.asked.retraining is None else self.asked.retraining.every_months
        return Flows(
            months=self.record.spec.horizon_months,
            rate=inputs["discount_rate"],
            upfront=float(self.record.spent.money.amount) + inputs["build_cost"],
            value=self.effect(inputs) * inputs["gain"],
            serving=self.serving(self.chosen.recipe, self.weight, inputs),
            upkeep=inputs["upkeep"],
            labels=inputs["labels"] * inputs["label_price"],
            retraining=inputs["retraining"],
            every=every,
        )

    def effect(self, inputs: Inputs) -> Any:
        """Return how many decisions of a month count, times what every value is multiplied by."""
        return inputs["traffic"] * SECONDS_A_MONTH * inputs["acted_on"] * inputs["value_scale"]

    def serving(self, recipe: Recipe, weight: Weight, inputs: Inputs) -> Any:
        """Return what serving costs a month, by the latency (standard deviations from the measured one) and traffic."""
        z, rps = np.broadcast_arrays(inputs["latency"], inputs["traffic"])
        if not z.ndim:
            return self._serving(recipe, weight, float(z), float(rps))
        pairs, where = np.unique(np.stack([z, rps]), axis=1, return_inverse=True)  # most draws share theirs
        return np.array([self._serving(recipe, weight, *pair) for pair in pairs.T.tolist()])[where.ravel()]

    def _serving(self, recipe: Recipe, weight: Weight, z: float, rps: float) -> float:
        if rps <= 0:
            return 0.0
        record, share = self.record, rps / self.traffic.mean_rps
        peak = None if self.traffic.peak_rps is None else self.traffic.peak_rps * share
        traffic = self.traffic.model_copy(update={"mean_rps": rps, "peak_rps": peak})
        serving = record.spec.serving.model_copy(update={"traffic": traffic})
        spec = record.spec.model_copy(update={"serving": serving})
        million = serving_cost(_shifted(weight, z), record.prices, spec, recipe, record.schema).value
        return million * rps * SECONDS_A_MONTH / _MILLION

    def resample(self, name: str) -> Floats:
        """Return what a decision is worth more than doing nothing: as measured first, then for each draw."""
        return (self.sample.value[name] - self.base)[self.order]

    def people(self, inputs: Inputs | None = None) -> Floats | None:
        """Return what a decision by people is worth, as :meth:`resample` does; ``None`` where nothing is known of it.

        ``inputs`` are draws; their centre comes first.
        """
        people, task = self.asked.people, self.record.task
        if people is None or task.value is None or (people.accuracy is None and len(task.classes) != 2):
            return None
        draws = self.draws if inputs is None else inputs
        shares = self.sample.shares[self.order]

        def both(key: str) -> Floats:
            return np.concatenate([[self.bands[key].centre], draws[key]])

        if people.accuracy is not None:
            right = np.repeat(both("people_accuracy")[:, None], len(task.classes), axis=1)
        else:
            positive = len(task.classes) - 1 if task.positive is None else task.classes.index(task.positive)
            rates = both("people_recall"), both("people_specificity")
            right = np.stack([rates[0] if k == positive else rates[1] for k in (0, 1)], axis=1)
        worth = people_value(np.asarray(task.value, dtype=np.float64), shares, right)
        return worth - self.base[self.order]

    @property
    def base(self) -> Floats:
        """What a decision is worth where nothing is done, by resample."""
        value = self.sample.value
        return value["constant"] if "constant" in value else np.zeros_like(value["chosen"])


def case_of(record: RunRecord) -> Case:
    """Return the case of a run.

    Raises
    ------
    NoReturn
        If nothing was decided, outcomes have no value, there is no traffic, or the answers are gone.
    """
    chosen = _chosen(record)
    weight = chosen.weight if record.final is None else record.final.weight
    if weight is None:
        raise NoReturn("what was chosen was not weighed, so what it costs to serve is not known; run it again")
    by_recipe = [t for t in record.trials if t.ending.usable]
    constant = next((t for t in by_recipe if isinstance(t.recipe, Train) and t.recipe.learner in BASELINES), None)
    incumbent = next((t for t in by_recipe if t.lever == "incumbent"), None)
    named = {"chosen": chosen, "constant": constant, "incumbent": incumbent}
    try:
        store = Store(record.folder)
        found = sample(store, store.dataset(), {name: t for name, t in named.items() if t is not None})
    except (RunUnreadable, OSError) as problem:
        raise NoReturn(f"the answers of {record.folder} cannot be read ({problem}); restore them from a copy") from None
    random = np.random.default_rng(0)
    resamples = len(found.value["chosen"]) - 1
    order = np.resize(1 + random.permutation(resamples), DRAWS) if resamples else np.zeros(DRAWS, dtype=np.int64)
    bare = Case(
        record=record,
        chosen=chosen,
        weight=weight,
        incumbent=None if incumbent is chosen else incumbent,
        constant=constant,
        sample=found,
        order=np.concatenate([[0], order]),
        bands={},
    )
    return replace(bare, bands=_bands(bare, random))


def _chosen(record: RunRecord) -> Trial:
    spec = record.spec
    if record.decision is None:
        raise NoReturn("nothing was decided in this run, so there is nothing whose return could be told")
    if spec.value is None:
        raise NoReturn("the spec does not say what decisions are worth; add `value:`, for example `right: 1 USD`")
    if spec.serving.traffic is None or spec.serving.traffic.mean_rps <= 0:
        raise NoReturn("the spec names no traffic, so no decisions are made; add `traffic: {mean_rps: 5}`")
    chosen = next(t for t in record.trials if record.decision.number == t.number)
    if "value" not in chosen.validation:
        raise NoReturn("the value of decisions was not measured in this run; run the spec again")
    return chosen


def _bands(case: Case, random: np.random.Generator) -> dict[str, Band]:
    """Return every input with its range."""
    record, asked = case.record, case.asked
    currency = record.prices.currency
    gain = case.resample("chosen")
    bands = {
        "gain": resampled("value of a decision against doing nothing", currency, float(gain[0]), gain[1:]),
        "latency": _latency(case, random),
    }
    anew, bought = asked.retraining, asked.labels
    assumed: dict[str, tuple[str, str, Spread | None, float]] = {
        "traffic": ("traffic", "requests/s", asked.traffic, case.traffic.mean_rps),
        "acted_on": ("share of decisions acted on", "", asked.acted_on, 1.0),
        "value_scale": ("scale of all values", "", asked.value_scale, 1.0),
        "discount_rate": ("discount rate", "a year", asked.discount_rate, 0.0),
        "build_cost": ("build cost", currency, asked.build_cost, 0.0),
        "upkeep": ("upkeep", f"{currency} a month", asked.upkeep, 0.0),
        "retraining": ("retraining", currency, None if anew is None else anew.price, 0.0),
        "labels": ("labels", "a month", None if bought is None else bought.per_month, 0.0),
        "label_price": ("price of a label", currency, None if bought is None else bought.price, 0.0),
    }
    if asked.people is not None:
        assumed["people_price"] = ("people, a decision", currency, asked.people.per_decision, 0.0)
        for part in ("accuracy", "recall", "specificity"):
            given = getattr(asked.people, part)
            if given is not None:
                assumed[f"people_{part}"] = (f"{part} of people", "", given, 0.0)
    for key, (name, unit, given, default) in assumed.items():
        bands[key] = band(name, unit, given or Spread.exact(default), random, DRAWS)
    return bands


def _latency(case: Case, random: np.random.Generator) -> Band:
    """Return how far latency may be from what was measured, in standard deviations."""
    figures = case.weight.busy, case.weight.p95
    if all(e.low == e.high or not math.isfinite(e.high - e.low) for e in figures):
        return Band(name="latency", unit="", centre=0.0, low=0.0, high=0.0, draws=np.zeros(DRAWS))
    points = [NormalDist().inv_cdf((k + 0.5) / STRATA) for k in range(STRATA)]
    drawn = random.permutation(np.resize(points, DRAWS))
    return Band(name="latency", unit="standard deviations", centre=0.0, low=-_Z90, high=_Z90, draws=drawn)


def _shifted(weight: Weight, z: float) -> Weight:
    """Return a weight whose latencies lie ``z`` standard deviations from the measured ones, on either side its own."""

    def at(figure: Estimate) -> Estimate:
        end = figure.high if z > 0 else figure.low
        reach = abs(z) / _Z95 * (end - figure.value)
        moved = figure.value + (reach if math.isfinite(reach) else 0.0)
        return Estimate.exact(max(moved, figure.value * 0.01), unit=figure.unit)

    mean = None if weight.mean is None else at(weight.mean)
    return replace(weight, p50=at(weight.p50), p95=at(weight.p95), mean=mean)
