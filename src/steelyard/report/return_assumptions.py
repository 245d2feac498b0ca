"""What a return rests on, line by line: each figure with its range, how it is known, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steelyard.decide import serving_cost
from steelyard.decide.words import money
from steelyard.money.assumptions import said
from steelyard.report.return_case import Case
from steelyard.report.return_words import LEFT_OUT
from steelyard.spec import Part, Spread
from steelyard.tasks.money import DECISIONS
from steelyard.units import Estimate, Money

GIVEN = "the spec"
_DEFAULTS = {
    "discount_rate": ("0 a year", "default: money later counts like money now"),
    "acted_on": ("1", "default: every decision is acted on"),
    "value_scale": ("1", "default: values as given"),
    "build_cost": ("0", f"{LEFT_OUT} beyond what the run spent"),
    "upkeep": ("0", LEFT_OUT),
    "retraining": ("never", f"{LEFT_OUT}: quality is taken to last over the horizon"),
    "labels": ("none", LEFT_OUT),
}


def assumptions(case: Case) -> list[dict[str, Any]]:
    """Return every line; what was left out stands there too, with what it is taken for."""
    return [{"name": name, "range": span, "how": how, "source": source} for name, span, how, source in _lines(case)]


def _lines(case: Case) -> Iterator[tuple[str, str, str, str]]:
    record, currency = case.record, case.record.prices.currency
    yield "horizon", f"{record.spec.horizon_months:g} months", "assumed", _given_or_default(case, "horizon_months")
    yield "what the run spent", money(float(record.spent.money.amount), currency), "measured", "the ledger"
    yield from _measured(case)
    yield from _values(case)
    peak = "" if case.traffic.peak_rps is None else f", peak {case.traffic.peak_rps:g}"
    traffic = case.asked.traffic
    shown = f"{case.traffic.mean_rps:g} requests/s" if traffic is None else said(traffic, "requests/s")
    yield "traffic", f"{shown}{peak}", "assumed", GIVEN if traffic is None else f"{GIVEN}; the peak in proportion"
    for name, (default, source) in _DEFAULTS.items():
        given = getattr(case.asked, name)
        if given is None:
            yield name.replace("_", " "), default, "assumed", source
        elif isinstance(given, Spread):
            yield name.replace("_", " "), said(given, _unit(given, name)), "assumed", GIVEN
        else:
            yield from _part(name, given)
    yield from _rivals(case)


def _given_or_default(case: Case, name: str) -> str:
    return GIVEN if name in case.record.spec.model_fields_set else "default"


def _measured(case: Case) -> Iterator[tuple[str, str, str, str]]:
    gain = case.bands["gain"]
    base = "always answering as the constant model does" if case.constant is not None else "no decision at all, worth 0"
    source = f"bootstrap of {case.sample.rows:,} validation rows, which also chose the candidate; against {base}"
    yield (
        "value of a decision",
        f"{gain.centre:.6g} {gain.unit} ({gain.low:.6g} to {gain.high:.6g})",
        "measured",
        source,
    )
    final = case.record.final
    test = None if final is None else final.test.get("value")
    if test is not None:
        ends = f"{test.value / DECISIONS:.6g} ({test.low / DECISIONS:.6g} to {test.high / DECISIONS:.6g})"
        unit = f"{gain.unit} a decision, before doing nothing is taken off"
        chosen = case.sample.value["chosen"][0]
        yield (
            "the same on test",
            f"{ends} {unit}; on validation {chosen:.6g}",
            "measured",
            "read once, for the decision",
        )
    million = _million(case)
    words = f"{million.value:.6g} ({million.low:.6g} to {million.high:.6g}) {million.unit}"
    yield "serving", words, million.how.value, million.source


def _million(case: Case) -> Estimate:
    record = case.record
    return serving_cost(case.weight, record.prices, record.spec, case.chosen.recipe, record.schema)


def _values(case: Case) -> Iterator[tuple[str, str, str, str]]:
    for name, amount in case.record.spec.value or ():
        if isinstance(amount, Money):
            yield f"value.{name}", str(amount), "assumed", GIVEN


def _unit(given: Spread, name: str) -> str:
    units = {"discount_rate": "a year", "upkeep": f"{given.currency} a month"}
    return units.get(name, given.currency or "").strip()


def _part(name: str, part: Part) -> Iterator[tuple[str, str, str, str]]:
    """Yield the figures of a part of the spec, each a line."""
    for inner, given in part:
        if isinstance(given, Spread):
            yield f"{name}: {inner.replace('_', ' ')}", said(given, given.currency or "").strip(), "assumed", GIVEN
        elif isinstance(given, float):
            yield f"{name}: {inner.replace('_', ' ')}", f"{given:g}", "assumed", GIVEN


def _rivals(case: Case) -> Iterator[tuple[str, str, str, str]]:
    if case.asked.people is None:
        yield "people", "not compared", "assumed", "not given: `returns.people` says what people cost and how they err"
    else:
        yield from _part("people", case.asked.people)
        if case.people() is None:
            yield "people", "not compared", "assumed", "their rates do not fit this task: values by class are needed"
    given = case.record.spec.incumbent
    if given is not None and case.incumbent is None and case.chosen.lever != "incumbent":
        yield "incumbent", "not compared", "assumed", "it could not be weighed; its trial says why"
    if case.incumbent is not None:
        source = "not known; counted as nothing"
        yield "incumbent", "serving or its price a decision; no upkeep, no retraining", "assumed", source
