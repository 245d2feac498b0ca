"""The ladder on the page: a table a family, the model that the steps began with first."""

from __future__ import annotations

from dataclasses import replace

from steelyard.report.grid import Cell, table
from steelyard.report.ladder import FIGURES, became, cells, measured, threads_said
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import english, say
from steelyard.report.words import Json, estimate


def ladder_section(report: Json) -> Markup | None:
    """Return what was made cheaper, with what every step gained and lost; ``None`` where nothing was."""
    families = report.get("ladder", ())
    if not families:
        return None
    lead = say("A step is held against the last of its line that was kept, and against the first.")
    return join(tag("p", lead), *(_family(family, report["task"]["aim"]) for family in families))


def _family(family: Json, aim: str) -> Markup:
    first, *rest = family["steps"]
    heads = (
        "candidate",
        "size",
        "p50, ms",
        "p95, ms",
        "rows a second",
        "memory",
        ("{0}", aim),
        "worse by",
        "kept or rejected",
    )
    rows = [(_cells(step, aim), "chosen" if step["chosen"] else "") for step in measured(family)]
    caption = say("Made cheaper from {0}, on this machine, {1}", first["title"], threads_said(family))
    listed = table(heads, rows, name=f"ladder-{family['root']}", numbers=range(1, 8), caption=caption)
    reasons = (
        tag("li", say("trial {0}", str(step["number"])), f", {step['title']}: ", english(became(step, family)))
        for step in rest
    )
    return join(listed, tag("ul", *reasons, class_="steps"))


def _cells(step: Json, aim: str) -> tuple[str | Cell, ...]:
    found = (*(estimate(step, name) for name in FIGURES), estimate(step["validation"], aim))
    disk, *rest, lost, ends = cells(step, aim)
    words = tuple(Cell.of(said, each) for said, each in zip(rest, found, strict=True))
    loss = Cell.of(lost, estimate(step, "lost"))
    loss = replace(
        loss, words=join(lost, tag("small", tag("br"), say("{0} to {1}", *ends.split(" to "))) if ends else None)
    )
    title = join(step["title"], tag("small", tag("br"), say("trial {0}", str(step["number"]))))
    return title, Cell(disk, step["size_bytes"]), *words, loss, _status(step)


def _status(step: Json) -> Markup:
    word = "taken" if step["chosen"] else "kept" if step["kept"] else "rejected"
    return tag("span", say(word), class_="status-met" if step["kept"] else "status-missed")
