"""What the chosen model returns: the report's block ``returns``, and a sentence a manager can read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.decide.words import titles
from steelyard.money.returns import Band, Flows, annuity, break_even, monthly, tornado
from steelyard.report.return_assumptions import assumptions
from steelyard.report.return_case import Case, NoReturn, case_of
from steelyard.report.return_words import quality_sentence, remarks, sentence
from steelyard.report.rows import Json
from steelyard.search.loop import SECONDS_A_MONTH
from steelyard.search.record import RunRecord
from steelyard.tasks.money import DECISIONS
from steelyard.units import Estimate, How

FARTHEST = 1e4
"""Times today's traffic up to which break-even is looked for."""
LONGEST = 600
"""Months whose money is listed one by one."""


def returns(record: RunRecord) -> Json | None:
    """Return the block, or ``None`` where there is no return to tell: :func:`returns_of` says why."""
    try:
        return returns_of(record)
    except NoReturn:
        return None


def returns_of(record: RunRecord) -> Json:
    """Return net present value, return on investment, payback and break-even of what a run decided on.

    Everything is against doing nothing: always answering as the constant model does. Figures are at the centre of
    every input (the median of a range), with 95% intervals of joint draws of quality, latency and assumptions.

    Raises
    ------
    NoReturn
        If there is none to tell, with the reason.
    """
    case = case_of(record)
    centre, drawn = case.flows(case.centre), case.flows(case.draws)
    currency = record.prices.currency
    npv = _estimate(centre.npv, drawn.npv, currency)
    block: Json = {
        "currency": currency,
        "horizon_months": record.spec.horizon_months,
        "discount_rate": case.bands["discount_rate"].centre,
        "baseline": "nothing" if case.constant is None else "constant",
        "upfront": float(centre.upfront),
        "month": _month(centre),
        "npv": npv.to_json(),
        "loss_probability": float(np.mean(drawn.npv < 0)),
        "roi": _estimate(centre.roi, drawn.roi, "").to_json(),
        "payback_months": _estimate(centre.payback, drawn.payback, "months").to_json(),
        "break_even_rps": _break_even_traffic(case),
        "break_even_quality": _break_even_quality(case, centre, drawn),
        "against": _against(case, centre, drawn),
        "tornado": _tornado(case),
        "on_test": _on_test(case),
        "months": monthly(centre) if centre.months <= LONGEST else [],
        "assumptions": assumptions(case),
    }
    return {**block, "sentence": sentence(block, _title(record)), "remarks": remarks(block)}


def _on_test(case: Case) -> Json | None:
    """Return the net present value by the test rows, which chose nothing; what doing nothing brings stays as it is."""
    final = case.record.final
    test = None if final is None else final.test.get("value")
    if test is None or case.chosen is case.constant or not all(map(math.isfinite, (test.value, test.low, test.high))):
        return None
    base = float(case.base[0])

    def at(value: float) -> float:
        return float(case.flows({**case.centre, "gain": value / DECISIONS - base}).npv)

    found = Estimate(at(test.value), at(test.low), at(test.high), How.ESTIMATED, case.record.prices.currency)
    return {"decision": test.value / DECISIONS, "npv": found.to_json()}


def _title(record: RunRecord) -> str:
    assert record.decision is not None, "a case has a decision"
    return titles((t.number, t.recipe) for t in record.trials)[record.decision.number]


def _estimate(centre: Any, draws: Floats, unit: str) -> Estimate:
    """Return a figure at the centre of its inputs with the 95% interval of its draws, which holds it."""
    value, known = float(centre), draws[~np.isnan(draws)]
    if math.isnan(value) or not len(known):
        return Estimate(math.nan, math.nan, math.nan, How.ESTIMATED, unit)
    low = float(np.quantile(known, 0.025, method="lower"))  # of infinite ones there is no mean
    high = float(np.quantile(known, 0.975, method="higher"))
    source = f"{len(known):,} joint draws of quality, latency and what is assumed"
    return Estimate(value, min(low, value), max(high, value), How.ESTIMATED, unit, source)


def _month(flows: Flows) -> dict[str, float]:
    """Return the money of a month; retraining as what it comes to on average."""
    anew = flows.retraining / flows.every if math.isfinite(flows.every) else 0.0
    parts = {"value": flows.value, "serving": flows.serving, "people": flows.upkeep, "retraining": anew}
    return {name: float(amount) for name, amount in (*parts.items(), ("labels", flows.labels))}


def _break_even_traffic(case: Case) -> float | None:
    """Return the least mean traffic that pays; no root is looked for beyond :data:`FARTHEST` times today's."""
    centre = case.centre
    return break_even(
        lambda rps: float(case.flows({**centre, "traffic": rps}).npv), case.bands["traffic"].centre * FARTHEST
    )


def _break_even_quality(case: Case, centre: Flows, drawn: Flows) -> Json | None:
    """Return the rate of right decisions at which the net present value is zero, everything else as measured."""
    needed = np.concatenate([[_needed(case, centre, case.centre)], _needed(case, drawn, case.draws)])
    worth = needed + case.base[case.order]
    if case.sample.rate is None:
        name, measured, rising = "value of 1,000 decisions", 1000 * float(case.sample.value["chosen"][0]), True
        found, unit = 1000 * worth, case.record.prices.currency
    else:
        rate = case.sample.rate.ordered(case.order)
        name, measured, rising = rate.metric, float(rate.rate[0]), bool(rate.right[0] > rate.wrong[0])
        found, unit = rate.needed(worth), ""
    if not math.isfinite(found[0]):
        return None
    at = _estimate(found[0], found[1:][np.isfinite(found[1:])], unit)
    words = quality_sentence(name, at.value, measured, rising=rising, unit=at.unit)
    return {"metric": name, "value": at.value, "low": at.low, "high": at.high, "measured": measured, "sentence": words}


def _needed(case: Case, flows: Flows, inputs: Any) -> Any:
    """Return what one decision must be worth more than doing nothing for a net present value of zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(flows.needed(), dtype=np.float64) / np.asarray(case.effect(inputs), dtype=np.float64)


def _against(case: Case, centre: Flows, drawn: Flows) -> list[Json]:
    """Return by how much the chosen candidate is worth more than each other way to decide."""
    currency = case.record.prices.currency
    found = [{"name": "nothing", "npv": _estimate(centre.npv, drawn.npv, currency).to_json()}]
    people = case.people()
    if people is not None:
        rivals = [
            _rival(case, inputs, worth, inputs["people_price"] * inputs["traffic"] * SECONDS_A_MONTH)
            for inputs, worth in ((case.centre, people[0]), (case.draws, people[1:]))
        ]
        found.append({"name": "people", "npv": _ahead(centre, drawn, rivals, currency)})
    if case.incumbent is not None and case.incumbent.weight is not None:
        worth = case.resample("incumbent")
        trial, weight = case.incumbent, case.incumbent.weight
        rivals = [
            _rival(case, inputs, each, case.serving(trial.recipe, weight, inputs))
            for inputs, each in ((case.centre, worth[0]), (case.draws, worth[1:]))
        ]
        found.append({"name": "incumbent", "npv": _ahead(centre, drawn, rivals, currency)})
    return found


def _rival(case: Case, inputs: Any, worth: Any, cost: Any) -> Any:
    """Return the net present value of another way to decide, which has nothing to build, against doing nothing."""
    monthly_net = case.effect(inputs) * worth - cost
    return monthly_net * annuity(inputs["discount_rate"], case.record.spec.horizon_months)


def _ahead(centre: Flows, drawn: Flows, rivals: list[Any], currency: str) -> Json:
    return _estimate(centre.npv - rivals[0], drawn.npv - rivals[1], currency).to_json()


def _tornado(case: Case) -> list[Json]:
    bands: dict[str, Band] = {key: b for key, b in case.bands.items() if not key.startswith("people_")}
    bars = tornado(bands, lambda inputs: float(case.flows(inputs).npv))
    return [
        {
            "name": bar.band.name,
            "unit": bar.band.unit,
            "low": bar.band.low,
            "high": bar.band.high,
            "npv_at_low": bar.at_low,
            "npv_at_high": bar.at_high,
        }
        for bar in bars
    ]
