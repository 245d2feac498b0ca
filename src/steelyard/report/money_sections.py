"""The sections of the page about money: what the model returns, what each lever earned, where the next dollar goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steelyard.decide.words import figure, money, span
from steelyard.report.grid import Cell, Row, bar, table
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import english, say
from steelyard.report.words import DASH, Json
from steelyard.units import Estimate

MANY = 1e6
PARTS = ("value", "serving", "people", "retraining", "labels")


def returns_section(report: Json) -> Markup | None:
    """Return what the model brings over the horizon: a waterfall, against what, what moves it, what was assumed."""
    found = report.get("returns")
    if not found:
        return None
    lead = tag("p", english(found["sentence"]), class_="lead")
    quality = found.get("break_even_quality")
    even = tag("p", english(quality["sentence"])) if quality else None
    return join(lead, even, waterfall(report), _against(found), _tornado(found), _assumptions(found["assumptions"]))


def waterfall(report: Json) -> Markup:
    """Return money spent to money returned, each step from where the one before ended."""
    found = report["returns"]
    currency, months = found["currency"], found["horizon_months"]
    spent = found["upfront"]
    steps = [(say("what it took to get there"), -spent)]
    for part in PARTS:
        amount = found["month"].get(part) or 0.0
        if amount:
            steps.append(
                (say(f"{part} over {{0}} months", f"{months:g}"), (1 if part == "value" else -1) * amount * months)
            )
    npv = Estimate.from_json(found["npv"])
    discounting = npv.value - sum(step for _, step in steps)
    if abs(discounting) > 0.005 * max(abs(step) for _, step in steps):
        steps.append((say("discounting at {0} a year", f"{found['discount_rate']:.1%}"), discounting))
    edges = [0.0]
    for _, step in steps:
        edges.append(edges[-1] + step)
    low, high = min(*edges, npv.value), max(*edges, npv.value)
    at = _share(low, high)
    rows: list[Row] = []
    for (words, step), before, after in zip(steps, edges[:-1], edges[1:], strict=True):
        look = "up" if step >= 0 else "down"
        rows.append(((words, Cell(money(step, currency), step), bar(at(before), at(after), look)), ""))
    total = Cell.of(span_of_money(npv, currency), npv)
    rows.append(((say("net present value"), total, bar(at(0), at(npv.value), "sum")), "total"))
    caption = say("From money spent to money returned, over {0} months", f"{months:g}")
    return table(("step", "amount", ""), rows, name="waterfall", numbers=(1,), caption=caption, class_="bars stack")


def _against(found: Json) -> Markup | None:
    rows: list[Row] = []
    for one in found.get("against") or ():
        npv = Estimate.from_json(one["npv"])
        name = say(one["name"]) if one["name"] in {"nothing", "people", "incumbent"} else one["name"]
        rows.append(((name, Cell.of(span_of_money(npv, found["currency"]), npv)), ""))
    if not rows:
        return None
    heads = ("against", "net present value, 95% interval")
    return table(heads, rows, name="against", numbers=(1,), caption=say("Compared with"), class_="small stack")


def _tornado(found: Json) -> Markup | None:
    inputs = sorted(found.get("tornado") or (), key=lambda i: -abs((i["npv_at_high"] or 0) - (i["npv_at_low"] or 0)))
    ends = [v for i in inputs for v in (i["npv_at_low"], i["npv_at_high"]) if v is not None]
    if not ends:
        return None
    currency, at = found["currency"], _share(min(ends), max(ends))
    rows: list[Row] = []
    for one in inputs:
        low, high = one["npv_at_low"], one["npv_at_high"]
        if low is None or high is None:
            continue
        between = say("{0} to {1}", figure(one["low"]), f"{figure(one['high'])} {one['unit']}".rstrip())
        money_ends = (Cell(money(low, currency), low), Cell(money(high, currency), high))
        look = "up" if high >= low else "down"
        rows.append(((english(one["name"]), between, *money_ends, bar(at(low), at(high), look)), ""))
    heads = ("what may turn out otherwise", "range", "value at its low end", "value at its high end", "")
    caption = say("What moves the net present value most")
    return table(heads, rows, name="tornado", numbers=(2, 3), caption=caption, class_="bars stack")


def _assumptions(assumed: Sequence[Json]) -> Markup | None:
    if not assumed:
        return None
    rows = [
        ((english(a["name"]), english(str(a["range"])), say(a["how"]), english(a["source"] or DASH)), "")
        for a in assumed
    ]
    caption = say("What it rests on")
    listed = table(("input", "range", "how known", "source"), rows, name="assumptions", caption=caption)
    return tag("details", tag("summary", say("{0} inputs and where they come from", str(len(rows)))), listed)


def levers_section(report: Json) -> Markup | None:
    """Return what each lever cost and brought."""
    found = report.get("attribution")
    if not found:
        return None
    currency = found["currency"]
    rows = [(_lever(one, currency), "chosen" if one["on_path"] else "") for one in found["levers"]]
    heads = (
        "lever",
        "tried",
        "spent",
        ("change in {0}", report["task"]["aim"]),
        "change in p95, ms",
        "change in size",
        "money a month",
    )
    how = "Shares by Shapley, fair to the order of levers" if found["method"] == "shapley" else "Steps along the path"
    caption = join(say(how), "; ", say("those on the path to the chosen one are marked"))
    return table(heads, rows, name="levers", numbers=(1, 2, 3, 4, 5, 6), caption=caption)


def _lever(one: Json, currency: str) -> tuple[str | Cell, ...]:
    disk = one.get("size_bytes")
    return (
        _told(one["lever"], one.get("sentence")),
        Cell(f"{one['tried']}", one["tried"]),
        Cell(money(one["spent"], currency), one["spent"]),
        _change(one.get("quality")),
        _change(one.get("latency_ms")),
        Cell(DASH if disk is None else f"{disk / 1000:+,.1f} kB", disk),
        _change(one.get("month"), currency),
    )


def _told(name: str, sentence: str | None) -> Markup:
    """Return a name with what there is to say of it below."""
    return join(name, tag("small", tag("br"), english(sentence)) if sentence else None)


def advice_section(report: Json) -> Markup | None:
    """Return where the next dollar goes."""
    found = report.get("advice")
    if not found:
        return None
    following, actions = found.get("next"), found["actions"]
    if found.get("stop"):
        lead = tag("p", english(found["stop"]), class_="lead")
    elif following is not None:
        lead = tag("p", say("Next:"), " ", english(actions[following]["sentence"]), class_="lead")
    else:
        lead = None
    currency = found["currency"]
    rows = [
        (
            (
                _told(one["name"], one.get("evidence")),
                say(one["kind"]) if one["kind"] in KINDS else one["kind"],
                _change(one["gain"], currency if found.get("priced", True) else ""),
                _amount(one["cost"], currency),
                _per_money(one["per_dollar"]),
            ),
            "chosen" if k == following else "",
        )
        for k, one in enumerate(actions)
    ]
    heads = ("action", "kind", "expected gain", "cost", "return per unit of money")
    caption = say("What could be done next, with 95% intervals")
    return join(lead, table(heads, rows, name="advice", numbers=(2, 3, 4), caption=caption) if rows else None)


KINDS = frozenset({"labels", "lever", "tune", "learner", "clean", "compute", "column", "latency", "people"})


def span_of_money(found: Estimate, currency: str) -> str:
    """Return money with its 95% interval."""
    if found.low == found.high:
        return money(found.value, currency)
    low, high = (money(end, currency).removesuffix(f" {currency}") for end in (found.low, found.high))
    return f"{money(found.value, currency)} ({low} to {high})"


def _per_money(found: Json | None) -> Cell:
    """Return what a unit of money brings, without digits that nobody could vouch for."""
    if found is None:
        return Cell(DASH)
    value = float(found["value"])
    return Cell(figure(value) if value < MANY else "> 1,000,000", value)


def _amount(found: Json | float | None, currency: str) -> Cell:
    if found is None:
        return Cell(DASH)
    if isinstance(found, int | float):
        return Cell(money(found, currency), found)
    known = Estimate.from_json(found)
    return _lines(Cell.of(span_of_money(known, currency), known))


def _change(found: Json | float | None, currency: str = "") -> Cell:
    if found is None:
        return Cell(DASH)
    known = Estimate.exact(float(found)) if isinstance(found, int | float) else Estimate.from_json(found)
    words = span_of_money(known, currency) if currency else span(known)
    return _lines(Cell.of(f"+{words}" if known.value > 0 else words, known))


def _lines(cell: Cell) -> Cell:
    """Return a cell with the interval below the figure."""
    value, opened, ends = cell.words.partition(" (")
    if not opened:
        return cell
    below = tag("small", tag("br"), Markup(ends.removesuffix(")")))
    return Cell(join(Markup(value), below), cell.value, cell.low, cell.high)


def _share(low: float, high: float) -> Callable[[float], float]:
    """Return where a figure lies between two, as a share of the way."""
    room = (high - low) or 1.0
    return lambda value: (value - low) / room
