"""Advice for people: a line an action, best first, and the one thing to do."""

from __future__ import annotations

from steelyard.advise.advice import Advice
from steelyard.decide.words import figure, money

LITTLE = 1e-4
"""Share of the most that any action may bring, up to which one is only named."""


def describe(advice: Advice) -> str:
    """Return advice as plain text, ending with the one thing to do next, or with the reason to stop."""
    lines = []
    if advice.curve is not None:
        curve = advice.curve
        lines.append(f"{curve['metric']} of {curve['recipe']} against training rows")
        lines += [f"  {point['rows']:>9,} rows  {figure(point['score'])}" for point in curve["points"]]
        beyond = [told for told in curve["ahead"] if told["rows"] > curve["points"][-1]["rows"]]
        lines += [f"  {told['rows']:>9,} rows  {_told(told)} expected" for told in beyond]
        lines.append("")
    if advice.actions:
        what = "money over the horizon" if advice.priced else "the metric; no values are stated, so none is money"
        lines.append(f"What may be done, best return per {advice.currency} first (gains are in {what})")
    idle = _idle(advice)
    for place, action in enumerate(advice.actions):
        if place in idle:
            continue
        mark = "->" if place == advice.next else "  "
        rate = action.per_dollar
        tail = "" if rate is None else f" Returns {_rate(rate.value)} per {advice.currency}."
        lines += [f"{mark} {action.sentence}{tail}", f"     {action.evidence}"]
    if idle:
        names = ", ".join(advice.actions[place].name for place in idle)
        lines.append(f"   Next to nothing is expected of these: {names}.")
    lines += ["", *(f"Note: {note}" for note in advice.notes)]
    lines.append(f"Spent on this advice: {advice.seconds:.1f} s, {money(advice.money, advice.currency)}.")
    lines.append(_last(advice))
    return "\n".join(lines) + "\n"


def _idle(advice: Advice) -> list[int]:
    """Return the places of actions that at best bring a vanishing share of what the best one does at best."""
    most = max((action.gain.high for action in advice.actions), default=0.0)
    found = [place for place, action in enumerate(advice.actions) if action.gain.high <= LITTLE * most]
    return [place for place in found if place != advice.next]


def _last(advice: Advice) -> str:
    if advice.next is None:
        return advice.stop or "Stop."
    return f"Next: {advice.actions[advice.next].sentence}"


def _rate(value: float) -> str:
    return "over a million" if value > 1e6 else figure(value)


def _told(told: dict[str, float]) -> str:
    return f"{figure(told['value'])} ({figure(told['low'])} to {figure(told['high'])})"
