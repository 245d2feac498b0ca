"""A return in words: sentences for a manager, and the section on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from steelyard.decide.words import listed, money
from steelyard.report.words import Json, estimate

LEFT_OUT = "not given; counted as nothing"
"""How the source of an assumption begins that the spec leaves out."""
WAYS = {
    "nothing": "doing nothing",
    "people": "people deciding",
    "incumbent": "keeping what is used today",
}


def cash(amount: float | None, currency: str) -> str:
    """Return an amount for people: three digits of it from a hundred on.

    Examples
    --------
    >>> cash(12345.678, "USD"), cash(-3.5, "EUR"), cash(None, "USD")
    ('12,300 USD', '-3.50 EUR', 'unknown')
    """
    if amount is None or not math.isfinite(amount) or abs(amount) < 100:
        return money(amount, currency)
    places = 2 - math.floor(math.log10(abs(amount)))
    return f"{round(amount, places):,.0f} {currency}"


def span_of(row: Json, currency: str) -> str:
    """Return the interval of an amount for people."""
    return f"{cash(row['low'], currency).removesuffix(f' {currency}')} to {cash(row['high'], currency)}"


def sentence(block: Json, title: str) -> str:
    """Return the answer in two plain sentences: what it is worth, and when it has paid for itself."""
    npv, currency = block["npv"], block["currency"]
    horizon = f"{block['horizon_months']:g} month{'' if block['horizon_months'] == 1 else 's'}"
    baseline = "doing nothing" if block["baseline"] == "nothing" else "doing nothing (the constant answer)"
    verb = "is worth" if npv["value"] >= 0 else "loses"
    first = (
        f"Over {horizon}, {title} {verb} {cash(abs(npv['value']), currency)} against {baseline}, "
        f"discounted at {block['discount_rate']:.3g} a year (95%: {span_of(npv, currency)}){_chance(block)}."
    )
    return f"{first} {_payback(block)}"


def remarks(block: Json) -> list[str]:
    """Return what else is to be said: break-even, the other ways to decide, and what moves the answer most."""
    quality = block["break_even_quality"]
    found = [_on_test(block), _traffic(block), "" if quality is None else quality["sentence"]]
    found += [_rival(row, block["currency"]) for row in block["against"] if row["name"] != "nothing"]
    return [line for line in (*found, *_moves(block), _left_out(block)) if line]


def _left_out(block: Json) -> str:
    names = [row["name"] for row in block["assumptions"] if row["source"].startswith(LEFT_OUT)]
    return f"Not given, and so counted as nothing: {listed(names)}." if names else ""


def _on_test(block: Json) -> str:
    test, currency = block["on_test"], block["currency"]
    if test is None:
        return ""
    npv = test["npv"]
    return (
        f"That is by the rows that chose it. By the test rows, which chose nothing, it is "
        f"{cash(npv['value'], currency)} "
        f"({span_of(npv, currency)})."
    )


def _chance(block: Json) -> str:
    chance = block["loss_probability"]
    if not 0.0005 <= chance < 1:
        return "" if chance < 0.0005 else "; it loses in every draw"
    return f"; it loses money in {chance:.1%} of the draws"


def _payback(block: Json) -> str:
    found, upfront = block["payback_months"], cash(block["upfront"], block["currency"])
    if found["value"] is None:
        return f"The {upfront} spent at the start do not come back within the horizon."
    latest = (
        "perhaps not within the horizon" if found["high"] is None else f"at the latest after {_time(found['high'])}"
    )
    return f"The {upfront} spent at the start are back after {_time(found['value'])} ({latest})."


def _time(months: float) -> str:
    """Return months for people; days below one.

    Examples
    --------
    >>> _time(3.456), _time(0.2), _time(0.001)
    ('3.5 months', '6.1 days', 'less than a day')
    """
    days = months * 365.25 / 12
    if days < 1:
        return "less than a day"
    return f"{days:.2g} days" if months < 1 else f"{months:.2g} months"


def _traffic(block: Json) -> str:
    rps = block["break_even_rps"]
    if rps is None:
        return "No traffic would make it pay at these prices and values."
    return "" if rps == 0 else f"It pays from {rps:.3g} requests a second on."


def quality_sentence(name: str, needed: float, measured: float, *, rising: bool, unit: str) -> str:
    """Return from which quality on it is worth it.

    Examples
    --------
    >>> quality_sentence("recall", 0.712, 0.86, rising=True, unit="")
    'Worth it above 71% recall (measured: 86%), all other rates as measured.'
    >>> quality_sentence("recall", 1.2, 0.86, rising=True, unit="")
    'No recall would make it worth it, all other rates as measured.'
    """
    side = "above" if rising else "below"
    if unit:
        return f"Worth it {side} a {name} of {cash(needed, unit)} (measured: {cash(measured, unit)})."
    if (needed > 1 and rising) or (needed < 0 and not rising):
        return f"No {name} would make it worth it, all other rates as measured."
    if not 0 <= needed <= 1:
        return f"Worth it at any {name}, all other rates as measured."
    return f"Worth it {side} {needed:.0%} {name} (measured: {measured:.0%}), all other rates as measured."


def _rival(row: Json, currency: str) -> str:
    ahead = row["npv"]["value"]
    if ahead is None:
        return ""
    more = "more" if ahead >= 0 else "less"
    return (
        f"It is worth {cash(abs(ahead), currency)} {more} than {WAYS[row['name']]} "
        f"(difference {span_of(row['npv'], currency)})."
    )


def _moves(block: Json) -> list[str]:
    if not block["tornado"] or block["tornado"][0]["npv_at_low"] == block["tornado"][0]["npv_at_high"]:
        return []
    bar, currency = block["tornado"][0], block["currency"]
    ends = f"{cash(bar['npv_at_low'], currency)} to {cash(bar['npv_at_high'], currency)}"
    return [f"What moves this most is the {bar['name']} ({ends})."]


def lines(block: Json) -> Iterator[tuple[str, str]]:
    """Yield name and figure of a return, as the terminal and the page show them."""
    currency, month = block["currency"], block["month"]
    yield "net present value", _interval(block, "npv", currency)
    roi = estimate(block, "roi")
    if roi is not None:
        yield "return on investment", f"{roi.value:,.3g} times the cost ({roi.low:,.3g} to {roi.high:,.3g})"
    yield "at the start", cash(block["upfront"], currency)
    yield "a month", ", ".join(f"{name} {cash(amount, currency)}" for name, amount in month.items() if amount)
    for row in block["against"][1:]:
        yield f"against {WAYS[row['name']]}", _interval(row, "npv", currency)


def _interval(row: Json, name: str, currency: str) -> str:
    found = row[name]
    return f"{cash(found['value'], currency)} ({span_of(found, currency)})"


def tornado_lines(block: Json) -> Iterator[tuple[str, str, str]]:
    """Yield the bars: input, its range, and what the net present value is at either end."""
    currency = block["currency"]
    for bar in block["tornado"]:
        span = f"{bar['low']:.4g} to {bar['high']:.4g} {bar['unit']}".strip()
        yield bar["name"], span, f"{cash(bar['npv_at_low'], currency)} to {cash(bar['npv_at_high'], currency)}"
