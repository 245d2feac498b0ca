"""The sections of the page about use: machines over the day, where to serve, confusion, calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping

from steelyard.decide.words import figure, money, span
from steelyard.report.grid import Cell, Head, Row, table
from steelyard.report.markup import Markup, join, tag
from steelyard.report.money_sections import span_of_money
from steelyard.report.say import english, marks, say
from steelyard.report.words import DASH, Json
from steelyard.units import Estimate

PLACES = frozenset({"general", "spot", "function", "accelerator", "edge", "compute", "accelerated"})


def capacity_section(report: Json) -> Markup | None:
    """Return the replicas over the day, what machines cost that hold the target, and where else to serve."""
    found = report.get("capacity")
    if not found:
        return None
    lead = tag("p", english(found["sentence"]), class_="lead") if found.get("sentence") else None
    parts = (lead, _day(found), _ways(found), _machines(found), _placement(found), _crossovers(found))
    return join(*(part for part in parts if part is not None))


def _day(found: Json) -> Markup | None:
    hours = found.get("hours") or []
    if not hours:
        return None
    most = max((h["rps"] for h in hours), default=0.0) or 1.0
    crew = max((h["replicas"] for h in hours), default=0) or 1
    columns = []
    for each in hours:
        heights = (("rps", each["rps"] / most), ("crew", each["replicas"] / crew))
        bars = [tag("i", class_=look, style=f"height:{max(share, 0.01):.2%}") for look, share in heights]
        columns.append(tag("span", *bars))
    drawn = tag("div", *columns, class_="day", aria_hidden="true")
    edges = tag("div", *(tag("span", _hour(hours[k]["hour"])) for k in _ticks(len(hours))), class_="hours")
    keys = tag(
        "ul",
        tag("li", tag("span", class_="key rps", aria_hidden="true"), say("requests a second, up to {0}", figure(most))),
        tag("li", tag("span", class_="key crew", aria_hidden="true"), say("replicas, up to {0}", str(crew))),
        class_="legend",
    )
    rows: list[Row] = [
        ((_hour(h["hour"]), Cell(figure(h["rps"]), h["rps"]), Cell(str(h["replicas"]), h["replicas"])), "")
        for h in hours
    ]
    caption = say("Requests and replicas, hour by hour")
    listed = table(("hour", "requests a second", "replicas"), rows, name="hours", numbers=(1, 2), caption=caption)
    detail = tag("details", tag("summary", say("{0} hours", str(len(hours)))), listed)
    return tag("figure", keys, drawn, edges, detail)


def _hour(hour: float) -> str:
    return f"{int(hour) % 24:02d}:00" if hour < 24 else f"{int(hour) // 24 + 1}. {int(hour) % 24:02d}:00"


def _ticks(count: int) -> list[int]:
    step = max(1, math.ceil(count / 4))
    return list(range(0, count, step))


def _ways(found: Json) -> Markup | None:
    rows: list[Row] = []
    for name, words in (("fixed", "always as many as the peak needs"), ("autoscaled", "as many as the hour needs")):
        one = found.get(name)
        if one:
            idle = one.get("idle_share")
            cells = (
                say(words),
                Cell(figure(_number(one["replicas"]), 0), _number(one["replicas"])),
                _money(one["month"], found["currency"]),
                _money(one["per_million"], found["currency"]),
                Cell(DASH if idle is None else f"{_number(idle):.0%}", _number(idle)),
            )
            rows.append((cells, ""))
    heads = ("replicas kept", "replicas", "a month", "a million predictions", "idle")
    caption = say("With and without autoscaling")
    return table(heads, rows, name="autoscaling", numbers=(1, 2, 3, 4), caption=caption) if rows else None


def _machines(found: Json) -> Markup | None:
    currency = found["currency"]
    rows: list[Row] = []
    for one in found.get("machines") or ():
        about = tag("small", tag("br"), f"{one['cloud']} {one['region']}")
        cells = (
            join(one["name"], about),
            Cell(str(one["cores"]), one["cores"]),
            Cell(f"{one['memory_gb']:g}", one["memory_gb"]),
            Cell(str(one["replicas"]), _number(one["replicas"])),
            _money(one["month"], currency),
            _money(one["per_million"], currency),
            _money(one.get("spot_month"), currency),
            say(one["how"]),
        )
        rows.append((cells, ""))
    heads = (
        "machine",
        "cores",
        "memory, GB",
        "how many",
        "a month",
        "a million predictions",
        "spot, a month",
        "how known",
    )
    caption = say("Machines that hold the latency target, cheapest first")
    made = table(heads, rows, name="machines", numbers=(1, 2, 3, 4, 5, 6), caption=caption) if rows else None
    return None if made is None else tag("details", tag("summary", say("{0} machines", str(len(rows)))), made)


def _placement(found: Json) -> Markup | None:
    rows: list[Row] = []
    for one in found.get("placement") or ():
        kind = say(one["kind"]) if one["kind"] in PLACES else one["kind"]
        money_of = (_money(one["month"], found["currency"]), _money(one["per_million"], found["currency"]))
        rows.append(((one["name"], kind, *money_of, say(one["how"]), english(one.get("note") or DASH)), ""))
    heads = ("where", "kind of place", "a month", "a million predictions", "how known", "note")
    caption = say("Where to serve it, cheapest first")
    return table(heads, rows, name="placement", numbers=(2, 3), caption=caption) if rows else None


def _crossovers(found: Json) -> Markup | None:
    words = "Up to {0} requests a second {1} is cheaper, from there on {2}."
    crossed = found.get("crossovers") or ()
    lines = [tag("li", say(words, figure(_number(c["rps"])), c["below"], c["above"])) for c in crossed]
    return tag("ul", *lines) if lines else None


def _money(found: Json | float | None, currency: str) -> Cell:
    if found is None:
        return Cell(DASH)
    if isinstance(found, int | float):
        return Cell(money(found, currency), float(found))
    known = Estimate.from_json(found)
    return Cell.of(span_of_money(known, currency), known)


def _number(found: Json | float | None) -> float:
    if found is None:
        return math.nan
    return float(found) if isinstance(found, int | float) else Estimate.from_json(found).value


def right_section(report: Json) -> Markup | None:
    """Return how sure the decision is, and what relaxing a target would buy."""
    decision = report["decision"]
    found = None if decision is None else decision.get("right")
    if not found:
        return None
    titles = {str(row["number"]): row["title"] for row in report["trials"]}
    chances = sorted(found["probability"].items(), key=lambda pair: -pair[1])
    rows: list[Row] = [
        ((titles.get(number, number), Cell(f"{p:.0%}", p)), "chosen" if int(number) == decision["number"] else "")
        for number, p in chances
        if p >= 0.005
    ]
    heads = ("candidate", "chosen in this share of samples")
    caption = say("How often each would be chosen, were the rows drawn again; too sure among near twins")
    made = table(heads, rows, name="right", numbers=(1,), caption=caption, class_="small stack")
    relaxing = [tag("li", english(one["sentence"])) for one in found.get("relaxing") or ()]
    return join(made, _regret(found.get("regret"), titles, report), tag("ul", *relaxing) if relaxing else None)


def _regret(found: Json | None, titles: Mapping[str, str], report: Json) -> Markup | None:
    """Return what taking the runner-up would cost, in the aim and in money where that is known."""
    if not found:
        return None
    lost = f"{span(Estimate.from_json(found['quality']), report['task']['unit'])} {report['task']['aim']}"
    if found.get("money"):
        lost += f", {span_of_money(Estimate.from_json(found['money']), report['spent']['currency'])} a month"
    runner = str(found["runner_up"])
    return tag("p", say("Taking {0} instead would cost {1}.", titles.get(runner, runner), lost))


def judged_section(report: Json) -> Markup | None:
    """Return what the chosen model's answers came to on validation rows: confusion, and calibration."""
    found = report.get("judged")
    if not found:
        return None
    pair = [part for part in (_confusion(found, report["task"]), _calibration(found, report["task"])) if part]
    return tag("div", *pair, class_="pair") if pair else None


def _confusion(found: Json, task: Json) -> Markup | None:
    counts = found["confusion"]
    if not counts:
        return None
    most = max(max(row) for row in counts) or 1
    rows: list[Row] = []
    for name, row in zip(task["classes"], counts, strict=True):
        total = sum(row) or 1
        cells = [
            Cell(tag("span", f"{n:,}", tag("small", f" {n / total:.0%}"), class_=_shade(n / most)), n) for n in row
        ]
        rows.append(((name, *cells), ""))
    words, of = "Confusion on {0} validation rows, with shares of each true class", "true class"
    if task["problem"] == "tagging":
        words, of = "Confusion on {0} validation tokens, with shares of each true tag", "true tag"
    heads: list[Head] = [of, *(("called {0}", str(name)) for name in task["classes"])]
    caption = say(words, f"{found['rows']:,}")
    return table(heads, rows, name="confusion", numbers=range(1, len(counts) + 1), caption=caption, class_="confusion")


def _shade(share: float) -> str:
    return f"shade s{min(5, math.ceil(share * 5))}"


SIDE, LEFT, BELOW = 300.0, 44.0, 40.0


def _calibration(found: Json, task: Json) -> Markup | None:
    bins = found["bins"]
    if len(bins) < 2:
        return None
    shares = bool(task["classes"])
    ends = [v for b in bins for v in (b[0], b[2], b[3])]
    low, high = (0.0, 1.0) if shares else (min(ends), max(ends))
    room = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - low) / room * SIDE

    def y(value: float) -> float:
        return 12 + SIDE - (value - low) / room * SIDE

    body = [tag("rect", x=LEFT, y=12.0, width=SIDE, height=SIDE, class_="frame")]
    body.append(tag("line", x1=x(low), y1=y(low), x2=x(high), y2=y(high), class_="target"))
    for tick in (low, low + room / 2, high):
        body.append(tag("text", f"{tick:.3g}", x=x(tick), y=SIDE + 28, class_="tick", text_anchor="middle"))
        body.append(tag("text", f"{tick:.3g}", x=LEFT - 6, y=y(tick) + 4, class_="tick", text_anchor="end"))
    for said, came, least, most, _ in bins:
        body.append(tag("line", x1=x(said), x2=x(said), y1=y(least), y2=y(most), class_="bar chosen"))
        body.append(tag("circle", cx=x(said), cy=y(came), r=4.5, class_="dot chosen"))
    words = "foretold probability" if shares else "predicted value"
    body.append(_axis(words, LEFT + SIDE / 2, SIDE + 46))
    label = {"aria_label": "calibration", "data_l": "calibration"}
    size = {"width": SIDE + LEFT + 12, "height": SIDE + 12 + BELOW}
    svg = tag("svg", *body, viewBox=f"0 0 {size['width']:g} {size['height']:g}", role="img", class_="square", **label)
    off = say("foretold and come to pass are {0} apart on average", figure(found["error"]))
    caption = tag("figcaption", say("Calibration: what came, with 95% intervals, against what was foretold"), "; ", off)
    listed = _bins(bins)
    return tag(
        "figure", svg, caption, tag("details", tag("summary", say("{0} groups of rows", str(len(bins)))), listed)
    )


def _axis(words: str, x: float, y: float) -> Markup:
    return tag("text", words, x=x, y=y, class_="title", text_anchor="middle", **marks(words))


def _bins(bins: list[list[float]]) -> Markup:
    rows: list[Row] = []
    for said, came, low, high, count in bins:
        found = Estimate(came, low, high)
        rows.append(((Cell(figure(said), said), Cell.of(span(found), found), Cell(f"{count:,.0f}", count)), ""))
    heads = ("foretold", "came, 95% interval", "rows")
    return table(heads, rows, name="calibration", numbers=(0, 1, 2), caption=say("Calibration"))
