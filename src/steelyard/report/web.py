"""The report as one page of HTML: opens from disk, asks the network for nothing, runs no script."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from steelyard.decide.words import money
from steelyard.report.advice import advice_section
from steelyard.report.chart import chart, legend
from steelyard.report.markup import Markup, join, tag
from steelyard.report.return_section import returns_section
from steelyard.report.sections import (
    capacity_section,
    data_section,
    figures,
    frontier_table,
    ledger_section,
    measured_section,
    targets_table,
    time_table,
    trials_table,
)
from steelyard.report.value import sentences
from steelyard.report.words import Json, data_words, headline, keeps

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Json) -> str:
    """Return the page. All text of the user's is escaped; the picture is inline."""
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{report['name']}: {headline(report)}"),
        tag("style", _css()),
    )
    body = (tag("main", _top(report), *_sections(report)), _foot(report))
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


@cache
def _css() -> Markup:
    return Markup(files("steelyard.report").joinpath("page.css").read_text(encoding="utf-8"))


def _top(report: Json) -> Markup:
    decision = report["decision"]
    if decision is None:
        title, badge = "Nothing was measured", tag("p", report["ending"], class_="badge bad")
    elif keeps(decision) and decision["feasible"]:
        title, badge = f"Keep what you have: {decision['title']}", tag("p", "What is used today", class_="badge good")
    elif decision["feasible"]:
        words = "Meets every target" if decision["targets"] else "No targets were asked for"
        title, badge = f"Take {decision['title']}", tag("p", words, class_="badge good")
    else:
        title = f"{decision['title']} comes nearest"
        badge = tag("p", "No candidate meets every target", class_="badge bad")
    eyebrow = tag("p", f"Steelyard report: {report['name']}", class_="eyebrow")
    line = tag("p", f"Predicts {data_words(report)}.", class_="muted")
    return tag("header", eyebrow, tag("h1", title), badge, figures(report), line)


def _sections(report: Json) -> tuple[Markup, ...]:
    decision = report["decision"]
    why = None
    if decision is not None:
        reasons = tag("ol", *(tag("li", reason) for reason in decision["reasons"]), class_="reasons")
        why = _section("Why", reasons, targets_table(report))
    parts = (
        why,
        _worth(report),
        _picture(report),
        _section("Frontier", frontier_table(report)) if report["frontier"] else None,
        returns_section(report),
        _section("Everything that was tried", trials_table(report)),
        None if report["advice"] is None else advice_section(report["advice"]),
        _section("What it cost to find", ledger_section(report)),
        _section("Where the time went", time_table(report)) if report.get("bottlenecks") else None,
        None if report["capacity"] is None else _section("What serving it takes", capacity_section(report)),
        _section("What was seen in the data", data_section(report)),
        _section("How it was measured", measured_section(report)),
    )
    return tuple(part for part in parts if part is not None)


def _section(title: str, *content: str | None) -> Markup:
    return tag("section", tag("h2", title), *content)


def _worth(report: Json) -> Markup | None:
    said = sentences(report)
    return _section("What decisions bring", tag("ul", *(tag("li", line) for line in said))) if said else None


def _picture(report: Json) -> Markup | None:
    wide = chart(report, width=900, height=430, class_="wide")
    narrow = chart(report, width=350, height=380, class_="narrow")
    if wide is None or narrow is None:
        return None
    bars = "Bars are 95% intervals, on validation rows. The table below has every figure."
    caption = tag("figcaption", " ".join((bars, *wide.notes)))
    return _section("Quality against latency", tag("figure", wide.svg, narrow.svg, legend(), caption))


def _foot(report: Json) -> Markup:
    spent = report["spent"]
    words = f"{report['ending']} Begun {report['created']}; spent {money(spent['money'], spent['currency'])}."
    return tag("footer", tag("p", join(words)))
