"""The section of the page about devices: who should answer, and where another way wins."""

from __future__ import annotations

from steelyard.decide.words import figure, money
from steelyard.report.edge_words import WAYS, known
from steelyard.report.grid import Cell, Row, table
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import english, say
from steelyard.report.words import DASH, Json
from steelyard.units import Estimate


def edge_section(report: Json) -> Markup | None:
    """Return the device, a server and both side by side, the turning points, and what the figures rest on."""
    found = report.get("edge")
    if not found:
        return None
    notes = tag("ul", *(tag("li", english(note)) for note in found["notes"])) if found["notes"] else None
    lead = tag("p", english(found["sentence"]), class_="lead")
    if not found["ways"]:
        return join(lead, *([] if notes is None else [notes]))
    parts = (lead, _ways(found), _escalated(found), _turns(found), notes)
    return join(*(part for part in parts if part is not None))


def _ways(found: Json) -> Markup:
    rows: list[Row] = []
    for one in found["ways"]:
        name = say(WAYS[one["way"]])
        got = Estimate.from_json(one["quality"])
        text = f"{figure(got.value)} ({figure(got.low)} to {figure(got.high)})"
        cells = (
            tag("b", name) if one["way"] == found["winner"] else name,
            _time(one["p50_ms"]),
            _time(one["p95_ms"]),
            known(one) or DASH,
            Cell.of(text, got),
            Cell(f"{one['reaches_server']:.1%}", one["reaches_server"]),
            *(_money(one["costs"][part], found) for part in ("server", "devices", "energy", "egress")),
            _money(one["month"], found),
            DASH if one["returned_month"] is None else _money(one["returned_month"], found),
        )
        rows.append((cells, ""))
    heads = (
        "who answers",
        "p50, ms",
        "p95, ms",
        "p95 on the device",
        ("{0}", found["aim"]),
        "reach the server",
        "servers",
        "devices",
        "energy",
        "egress",
        "a month",
        "returned a month",
    )
    caption = say("As the user sees it, the network included")
    return table(heads, rows, name="edge", numbers=(1, 2, 4, 5, 6, 7, 8, 9, 10, 11), caption=caption)


def _time(value: float | None) -> Cell | Markup:
    return say("unbounded") if value is None else Cell(figure(value), value)


def _money(value: float, found: Json) -> Cell:
    return Cell(money(value, found["currency"]), value)


def _escalated(found: Json) -> Markup | None:
    share = found["escalated"]
    if share is None:
        return None
    words = "The device passes on {0} of the rows ({1} to {2}), measured on {3} validation rows."
    told = (f"{share[end]:.1%}" for end in ("share", "low", "high"))
    return tag("p", say(words, *told, f"{share['rows']:,}"))


def _turns(found: Json) -> Markup | None:
    rows: list[Row] = []
    for what, unit, turns in (
        ("round trip", "ms", found["by_round_trip"]),
        ("traffic", "requests a second", found["by_traffic"]),
    ):
        rows += [
            (
                (
                    say(what),
                    Cell(figure(one["at"]), one["at"]),
                    say(unit),
                    say(WAYS[one["below"]]),
                    say(WAYS[one["above"]]),
                ),
                "",
            )
            for one in turns
        ]
    heads = ("what changes", "turning point", "unit", "below", "above")
    return table(heads, rows, name="turns", numbers=(1,), caption=say("Where another way wins")) if rows else None
