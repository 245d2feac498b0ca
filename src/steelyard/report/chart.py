"""Quality against latency as a picture: every candidate with its error bars, those of the frontier by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.decide.words import figure, span
from steelyard.report.labels import Anchor, Box, Label, place
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import filled, marks, say
from steelyard.report.scales import Scale, linear, logarithmic
from steelyard.report.words import Json, estimate
from steelyard.units import Estimate

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 30.0, 44.0
_SQUASHED = 0.4
LONGEST = 30
DRAWN, BARRED = 120, 30
"""Most candidates of a picture; and how many may be there for those beside the frontier to have error bars."""


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate on the chart."""

    number: int
    title: str
    quality: Estimate
    p95: Estimate
    kind: str
    """``chosen``, ``frontier``, ``rejected`` or ``other``: its look."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and the sentences that belong under it."""

    svg: Markup
    notes: tuple[str, ...]


def chart(report: Json, *, width: int, height: int, class_: str) -> Chart | None:
    """Draw the candidates of a report, or return ``None`` where none has both figures."""
    points = _points(report)
    if not points:
        return None
    drawn, more = points[-DRAWN:], len(points[:-DRAWN])
    shown, left_out = _in_view(drawn, higher=report["task"]["better"] == "higher")
    barred = [p for p in shown if len(shown) <= BARRED or p.kind in ("chosen", "frontier")]
    x = logarithmic([v for p in shown for v in (p.p95.low, p.p95.high)], _LEFT, width - _RIGHT)
    y = linear([v for p in shown for v in (p.quality.low, p.quality.high)], height - _BOTTOM, _TOP)
    frame = Box(_LEFT, _TOP, width - _RIGHT, height - _BOTTOM)
    targets = tuple(_targets(report, x, y))
    labels = _labels(shown, x, y, frame)
    body = (
        *_grid(report, x, y, frame, width),
        *(line for line, _ in targets if line is not None),
        *(mark for point in barred for mark in _bars(point, x, y)),
        *(_leader(label) for label in labels if label.leader is not None),
        *(_mark(point, x, y) for point in shown),
        *(_name(label, shown) for label in labels),
    )
    label = f"{report['task']['aim']} against p95 latency of one row"
    scale = {"data_low": x.low, "data_high": x.high, "data_start": x.start, "data_end": x.end}
    axis = {name: f"{value!r}" for name, value in scale.items()}
    view = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    svg = tag("svg", *body, role="group", aria_label=label, class_=class_, **view, **axis)
    hidden = (f"{more} more that are not on the frontier are not drawn.",) if more else ()
    return Chart(svg, (*hidden, *(_beyond(p, report) for p in left_out), *(note for _, note in targets if note)))


def _points(report: Json) -> list[Point]:
    line = {row["number"] for row in report["frontier"]}
    points = []
    for row in report["trials"]:
        quality, p95 = estimate(row["validation"], report["task"]["aim"]), estimate(row["figures"], "latency_p95_ms")
        if quality is not None and p95 is not None and p95.low > 0:
            points.append(Point(row["number"], row["title"], quality, p95, _kind(row, line)))
    return sorted(points, key=lambda p: (_RANK.index(p.kind), p.p95.value), reverse=True)


_RANK = ("chosen", "frontier", "other", "rejected")


def _kind(row: Json, line: set[int]) -> str:
    if row["chosen"]:
        return "chosen"
    if row["rejected"] is not None:
        return "rejected"
    return "frontier" if row["number"] in line else "other"


def _in_view(points: Sequence[Point], *, higher: bool) -> tuple[list[Point], list[Point]]:
    """Leave out the worst where they would squash all the others; the chosen one always stays."""
    kept = sorted(points, key=lambda p: p.quality.value, reverse=not higher)
    worst_first, out = list(kept), []
    while len(worst_first) > 2 and worst_first[0].kind != "chosen":
        if _range(worst_first[1:]) > _SQUASHED * _range(worst_first):
            break
        out.append(worst_first.pop(0))
    return [p for p in points if p not in out], out


def _range(points: Sequence[Point]) -> float:
    return max(p.quality.high for p in points) - min(p.quality.low for p in points)


def _labels(points: Sequence[Point], x: Scale, y: Scale, frame: Box) -> tuple[Label, ...]:
    wanted = sorted((p for p in points if p.kind in ("chosen", "frontier")), key=lambda p: _RANK.index(p.kind))
    anchors = [Anchor(x(p.p95.value), y(p.quality.value), _short(p.title)) for p in wanted]
    dots = [_around(x(p.p95.value), y(p.quality.value), 6) for p in points]
    upright = [Box(x(p.p95.value) - 1, y(p.quality.high), x(p.p95.value) + 1, y(p.quality.low)) for p in points]
    across = [Box(x(p.p95.low), y(p.quality.value) - 1, x(p.p95.high), y(p.quality.value) + 1) for p in points]
    return place(anchors, frame, solid=dots, soft=[*upright, *across])


def _around(x: float, y: float, half: float) -> Box:
    return Box(x - half, y - half, x + half, y + half)


def _short(title: str) -> str:
    return title if len(title) <= LONGEST else title[: LONGEST - 1] + "…"


def _grid(report: Json, x: Scale, y: Scale, frame: Box, width: float) -> Iterator[Markup]:
    task = report["task"]
    for value in y.ticks(6):
        at = y(value)
        yield tag("line", x1=frame.left, x2=frame.right, y1=at, y2=at, class_="grid")
        yield tag("text", f"{value:,g}", x=frame.left - 6, y=at + 4, class_="tick", text_anchor="end")
    for value in x.ticks(max(3, int((frame.right - frame.left) / 60))):
        at = x(value)
        yield tag("line", x1=at, x2=at, y1=frame.bottom, y2=frame.bottom + 4, class_="axis")
        yield tag("text", f"{value:,g}", x=at, y=frame.bottom + 18, class_="tick", text_anchor="middle")
    yield tag("line", x1=frame.left, x2=frame.right, y1=frame.bottom, y2=frame.bottom, class_="axis")
    unit = f", {task['unit']}" if task["unit"] else ""
    better = "{0} (higher is better)" if task["better"] == "higher" else "{0} (lower is better)"
    yield _say(better, f"{task['aim']}{unit}", x=0, y=14)
    words = "p95 latency of one row, ms (log scale; lower is better)"
    yield _say(words, x=width / 2, y=frame.bottom + 38, text_anchor="middle")


def _say(words: str, *given: str, **attributes: str | float) -> Markup:
    return tag("text", filled(words, *given), class_="title", **attributes, **marks(words, *given))


def _targets(report: Json, x: Scale, y: Scale) -> Iterator[tuple[Markup | None, str]]:
    decision = report["decision"]
    for target in () if decision is None else decision["targets"]:
        asked = target["asked"]
        if target["name"] == report["task"]["aim"]:
            at = y(asked)
            line = tag("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="target")
            yield _drawn(line, f"{target['name']} {figure(asked)}", inside=y.holds(asked))
        elif target["name"] == "latency_p95_ms":
            at = x(asked)
            line = tag("line", x1=at, x2=at, y1=y.start, y2=y.end, class_="target latency")
            yield _drawn(line, f"p95 latency {asked:g} ms", inside=x.holds(asked))


def _drawn(line: Markup, words: str, *, inside: bool) -> tuple[Markup | None, str]:
    if inside:
        return line, f"Dashed line: the target, {words}."
    return None, f"The target, {words}, lies outside the chart."


def _bars(point: Point, x: Scale, y: Scale) -> Iterator[Markup]:
    look, number = f"bar {point.kind}", str(point.number)
    at_x, at_y = x(point.p95.value), y(point.quality.value)
    yield tag("line", x1=at_x, x2=at_x, y1=y(point.quality.low), y2=y(point.quality.high), class_=look, data_n=number)
    yield tag("line", x1=x(point.p95.low), x2=x(point.p95.high), y1=at_y, y2=at_y, class_=look, data_n=number)


def _mark(point: Point, x: Scale, y: Scale) -> Markup:
    at_x, at_y = x(point.p95.value), y(point.quality.value)
    words = f"{point.title}: {span(point.quality)}, {span(point.p95, 'ms')}"
    known = {"aria_label": words, "role": "img", "data_n": str(point.number)}
    if point.kind in {"chosen", "frontier"}:
        known["tabindex"] = "0"
    if point.kind == "rejected":
        path = f"M{at_x - 4:.1f} {at_y - 4:.1f}l8 8m0 -8l-8 8"
        return tag("path", d=path, class_="dot rejected", **known)
    radius = {"chosen": 6.5, "frontier": 5, "other": 3.5}[point.kind]
    return tag("circle", cx=at_x, cy=at_y, r=radius, class_=f"dot {point.kind}", **known)


def _leader(label: Label) -> Markup:
    assert label.leader is not None
    end_x, end_y = label.leader
    return tag("line", x1=label.anchor.x, y1=label.anchor.y, x2=end_x, y2=end_y, class_="leader")


def _name(label: Label, points: Sequence[Point]) -> Markup:
    chosen = any(p.kind == "chosen" and _short(p.title) == label.anchor.text for p in points)
    centre, right = (label.box.left + label.box.right) / 2, label.box.right
    if label.box.left >= label.anchor.x:
        x, side = label.box.left, "start"
    elif right <= label.anchor.x:
        x, side = right, "end"
    else:
        x, side = centre, "middle"
    look = "label chosen" if chosen else "label"
    return tag("text", label.anchor.text, x=x, y=label.box.bottom - 3.5, class_=look, text_anchor=side)


def _beyond(point: Point, report: Json) -> str:
    where = f"{report['task']['aim']} {figure(point.quality.value)} at {figure(point.p95.value)} ms"
    return f"Far off the scale and not drawn: {point.title}, {where}."


def legend() -> Markup:
    """Return what the marks mean, as a list."""
    looks = (
        ("chosen", "taken"),
        ("frontier", "on the frontier"),
        ("other", "beaten by another"),
        ("rejected", "rejected"),
    )
    items = (tag("li", tag("span", class_=f"key {look}", aria_hidden="true"), say(words)) for look, words in looks)
    return tag("ul", join(*items), class_="legend")
