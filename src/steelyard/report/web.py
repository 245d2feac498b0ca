"""The report as one page of HTML: opens from disk, asks the network for nothing, decides again where it may run."""

from __future__ import annotations

from steelyard.decide.words import money
from steelyard.report.again import again_section, data
from steelyard.report.chart import chart, legend
from steelyard.report.edge_section import edge_section
from steelyard.report.forecast import forecast_section
from steelyard.report.ladder_section import ladder_section
from steelyard.report.markup import Markup, join, tag
from steelyard.report.money_sections import advice_section, levers_section, returns_section
from steelyard.report.say import english, say
from steelyard.report.sections import (
    bottlenecks_table,
    data_section,
    figures,
    frontier_table,
    ledger_section,
    measured_section,
    targets_table,
    trials_table,
)
from steelyard.report.shell import PAGE, button, document
from steelyard.report.tags_section import tags_section
from steelyard.report.use_sections import capacity_section, judged_section, right_section
from steelyard.report.value import sentences
from steelyard.report.words import Json, headline, keeps


def page(report: Json) -> str:
    """Return the page. All text of the user's is escaped; pictures, style, figures and script are inline.

    Without script, and on paper, everything stands there but the fields that decide again.
    """
    body = join(tag("main", _top(report), *_sections(report)), _foot(report))
    buttons = (button("everything", "All figures, JSON"), button("print", "Print"))
    return document(f"{report['name']}: {headline(report)}", body, PAGE, data(report), *buttons)


def _top(report: Json) -> Markup:
    decision = report["decision"]
    if decision is None:
        title, badge = say("Nothing was measured"), tag("p", english(report["ending"]), class_="badge bad")
    elif keeps(decision) and decision["feasible"]:
        title = say("Keep what you have: {0}", decision["title"])
        badge = tag("p", say("What is used today"), class_="badge good")
    elif decision["feasible"]:
        words = "Meets every target" if decision["targets"] else "No targets were asked for"
        title, badge = say("Take {0}", decision["title"]), tag("p", say(words), class_="badge good")
    else:
        title = say("{0} comes nearest", decision["title"])
        badge = tag("p", say("No candidate meets every target"), class_="badge bad")
    eyebrow = tag("p", say("Steelyard report: {0}", report["name"]), class_="eyebrow")
    return tag("header", eyebrow, tag("h1", title), badge, figures(report), tag("p", _predicts(report), class_="muted"))


def _predicts(report: Json) -> Markup:
    counts, task = report["row_counts"], report["task"]
    number = task["problem"] == "regression"
    many = "{0} tags" if task["problem"] == "tagging" else "{0} classes"
    kind = say("a number") if number else say(many, str(len(task["classes"])))
    if (ahead := report.get("forecast")) is not None:
        kind = say("the next {0} steps of {1} series", f"{ahead['horizon']:,}", f"{ahead['series']:,}")
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    predicts, rows = say("Predicts {0}:", task["target"]), say("rows: {0}", sizes)
    return join(predicts, " ", kind, "; ", rows, "; ", say("validation: {0}", report["protocol"]), ".")


def _sections(report: Json) -> tuple[Markup, ...]:
    parts = (
        _section("Why", _why(report)),
        _section("How sure that is", right_section(report)),
        _section("What decisions bring", _worth(report)),
        _section("Quality against latency", _picture(report)),
        again_section(report),
        _section("What it returns", returns_section(report)),
        _section("Where the next dollar goes", advice_section(report)),
        _section("What each lever earned", levers_section(report)),
        _section("Machines over the day", capacity_section(report)),
        _section("Made cheaper", ladder_section(report)),
        _section("Device or server", edge_section(report)),
        _section("Frontier", frontier_table(report) if report["frontier"] else None),
        _section("By type and tag", tags_section(report)),
        _section("Errors by step ahead", forecast_section(report)),
        _section("Right and wrong", judged_section(report)),
        _section("Everything that was tried", trials_table(report)),
        _section("What it cost to find", ledger_section(report)),
        _section("Where the time went", bottlenecks_table(report)),
        _section("What was seen in the data", data_section(report)),
        _section("How it was measured", measured_section(report)),
    )
    return tuple(part for part in parts if part is not None)


def _section(title: str, content: Markup | None) -> Markup | None:
    return None if content is None else tag("section", tag("h2", say(title)), content)


def _why(report: Json) -> Markup | None:
    if report["decision"] is None:
        return None
    reasons = tag("ol", *(tag("li", reason, lang="en") for reason in report["decision"]["reasons"]), class_="reasons")
    return join(reasons, targets_table(report))


def _worth(report: Json) -> Markup | None:
    said = sentences(report)
    return tag("ul", *(tag("li", english(line)) for line in said)) if said else None


def _picture(report: Json) -> Markup | None:
    wide = chart(report, width=900, height=430, class_="wide")
    narrow = chart(report, width=350, height=380, class_="narrow")
    if wide is None or narrow is None:
        return None
    bars = say("Bars are 95% intervals, on validation rows. The table below has every figure.")
    caption = tag("figcaption", bars, *(join(" ", english(note)) for note in wide.notes))
    return tag("figure", wide.svg, narrow.svg, legend(), caption)


def _foot(report: Json) -> Markup:
    spent = report["spent"]
    words = say("Begun {0}; spent {1}.", report["created"], money(spent["money"], spent["currency"]))
    return tag("footer", tag("p", english(report["ending"]), " ", words))
