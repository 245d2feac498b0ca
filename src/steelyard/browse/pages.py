"""The list of runs as a page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from steelyard.browse.runs import Listed
from steelyard.decide.words import figure, money, span
from steelyard.report.again import words
from steelyard.report.grid import Cell, Row, table
from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import english, say
from steelyard.report.shell import document
from steelyard.report.words import DASH

SCRIPTS = ("words.js", "tables.js", "list.js")
_STATES = {"ended": "ended", "open": "not ended", "damaged": "damaged"}


def list_page(folder: str, runs: Sequence[Listed]) -> str:
    """Return the list of runs."""
    heads = ("run", "begun", "state", "taken", "quality", "a million predictions", "spent")
    rows: list[Row] = [(_row(run), "") for run in runs]
    made = table(heads, rows, name="runs", numbers=(4, 5, 6), caption=say("{0} runs", str(len(runs))), most=len(rows))
    none = tag("p", say("There is no run in this folder yet."), class_="muted")
    field = tag("input", type="search", id="filter", autocomplete="off")
    search = tag("p", tag("label", say("Show only"), " ", field), id="search", hidden="")
    eyebrow = tag("p", folder, class_="eyebrow")
    top = tag("header", eyebrow, tag("h1", say("Runs")))
    return document("Runs", tag("main", top, tag("section", search, made if runs else none)), SCRIPTS, words())


def problem_page(name: str, sentence: str) -> str:
    """Return the page of a run that cannot be shown, with the reason."""
    back = tag("p", tag("a", say("All runs"), href="/"))
    badge = tag("p", say("This run cannot be shown"), class_="badge bad")
    body = tag("main", tag("header", tag("h1", name), badge, tag("p", english(sentence)), back))
    return document(name, body, SCRIPTS, words())


def _row(run: Listed) -> tuple[str | Cell, ...]:
    link = tag("a", run.name or run.folder, href=f"/run/{quote(run.folder, safe='')}")
    name = join(link, tag("small", tag("br"), f" {run.folder}"))
    state = tag("span", say(_STATES[run.state]), class_=f"state-{run.state}")
    if run.state == "damaged":
        return name, "", state, english(run.problem), "", "", ""
    begun = run.created[:19].replace("T", " ")
    cost, spent = run.cost_per_million, run.spent
    return (
        name,
        begun,
        state,
        join(run.title or DASH, _missed(run)),
        DASH if run.quality is None else Cell.of(f"{run.aim} {_short(run)}", run.quality),
        DASH if cost is None else Cell(money(cost, run.currency), cost),
        DASH if spent is None else Cell(money(spent, run.currency), spent),
    )


def _missed(run: Listed) -> Markup | None:
    return None if run.feasible is not False else tag("small", tag("br"), " ", say("misses a target"), class_="bad")


def _short(run: Listed) -> str:
    assert run.quality is not None, "asked only where there is a figure"
    return span(run.quality) if run.quality.low != run.quality.high else figure(run.quality.value)
