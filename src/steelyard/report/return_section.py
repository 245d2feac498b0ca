"""What the chosen model returns, as a section of the page."""

from __future__ import annotations

from steelyard.report.markup import Markup, tag
from steelyard.report.return_words import lines, tornado_lines
from steelyard.report.words import Json


def returns_section(report: Json) -> Markup | None:
    """Return the section, or ``None`` where there is no return to tell."""
    block = report.get("returns")
    if block is None:
        return None
    facts = [part for name, figure in lines(block) for part in (tag("dt", name), tag("dd", figure))]
    said = tag("ul", *(tag("li", line) for line in (block["sentence"], *block["remarks"])))
    rests = [
        tag("tr", *(tag("td", row[k]) for k in ("name", "range", "how", "source"))) for row in block["assumptions"]
    ]
    return tag(
        "section",
        tag("h2", "What it returns"),
        said,
        tag("dl", *facts, class_="facts"),
        _tornado(block),
        tag("details", tag("summary", "What it rests on"), tag("table", tag("tbody", *rests))),
    )


def _tornado(block: Json) -> Markup | None:
    heads = ("input, at its 5% and 95% point", "from, to", "net present value")
    bars = [
        tag("tr", tag("th", name, scope="row"), tag("td", span), tag("td", ends))
        for name, span, ends in tornado_lines(block)
    ]
    if not bars:
        return None
    top = tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads)))
    return tag("table", tag("caption", "What moves it"), top, tag("tbody", *bars))
