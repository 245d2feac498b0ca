"""The part of the page that decides again: its fields, and what the script needs to know."""

from __future__ import annotations

import json

from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import chinese, say
from steelyard.report.words import Json

_FIELDS = (
    ("latency_p95_ms", "latency target, p95", "ms"),
    ("mean_rps", "requests a second, mean", ""),
    ("peak_rps", "requests a second at the peak", ""),
    ("core_hour", "price of a core-hour", "{currency}"),
    ("horizon_months", "horizon", "months"),
    ("discount_rate", "discount rate a year", "%"),
)
_OUTCOMES = {
    "true_positive": "true positive",
    "false_positive": "false positive",
    "true_negative": "true negative",
    "false_negative": "false negative",
    "right": "right decision",
    "wrong": "wrong decision",
    "over": "each unit too much",
    "under": "each unit too little",
}


def again_section(report: Json) -> Markup | None:
    """Return the fields; a page without script leaves them hidden."""
    known = report.get("deciding")
    if known is None:
        return None
    currency = known["currency"]
    fields = [_field(name, say(said), unit.format(currency=currency)) for name, said, unit in _FIELDS]
    groups = [tag("fieldset", tag("legend", say("Serving and time")), *fields)]
    if known["outcomes"] is not None:
        names = known["outcomes"]["names"]
        worth = [_field(f"value_{k}", say(_OUTCOMES[name]), currency) for k, name in enumerate(names)]
        note = tag("p", say("Money that one such decision brings; a loss is below zero."), class_="muted")
        groups.append(tag("fieldset", tag("legend", say("Value of outcomes")), note, *worth))
    reset = tag("button", say("As the run was asked"), type="button", id="reset")
    form = tag("form", *groups, reset, id="wishes", autocomplete="off")
    told = tag("div", tag("div", id="verdict", aria_live="polite", role="status"), tag("div", id="sums"), id="told")
    lead = tag("p", say("Move anything: the decision is made again at once, by the same rule and the same figures."))
    inside = tag("div", form, told, class_="again")
    return tag(
        "section", tag("h2", say("Decide again")), lead, inside, tag("div", id="standing"), id="again", hidden=""
    )


def _field(name: str, label: Markup, unit: str) -> Markup:
    said = say(unit) if unit in {"ms", "months"} else unit
    number = tag("input", type="text", inputmode="decimal", id=name, name=name, aria_describedby=f"{name}-unit")
    ranged = tag("input", type="range", min="0", max="1000", step="1", data_for=name, aria_labelledby=f"{name}-label")
    named = tag("label", label, for_=name, id=f"{name}-label")
    return tag("div", named, number, tag("span", said, id=f"{name}-unit", class_="unit"), ranged, class_="field")


def data(report: Json) -> Markup:
    """Return what the script reads: figures, and words in both languages."""
    known = {name: report[name] for name in ("name", "task", "spent")}
    decision = report["decision"]
    known["chosen"] = None if decision is None else decision["number"]
    known["decision"] = None if decision is None else {k: decision[k] for k in ("title", "feasible", "reasons")}
    known["deciding"] = report.get("deciding")
    month = (report.get("returns") or {}).get("month") or {}
    known["fixed"] = {
        "month": sum(month.get(part) or 0.0 for part in ("people", "retraining", "labels")),
        "upfront": (report.get("returns") or {}).get("upfront", report["spent"]["money"]),
    }
    known["discount_rate"] = (report.get("returns") or {}).get("discount_rate", 0.0)
    return join(_json("figures", known), words())


def words() -> Markup:
    """Return the page's words in both languages, for the script."""
    return _json("words", chinese())


def _json(name: str, value: object) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return tag("script", Markup(text), type="application/json", id=name)
