"""What a browser cannot do, said before anything is written: never at run time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from steelyard.bundle.graphs import check_graph
from steelyard.bundle.manifest import GRAPH, Several
from steelyard.bundle.opening import Opened
from steelyard.bundle.wire import fields
from steelyard.contracts import OF_ROWS, Feed
from steelyard.errors import ExportRefused
from steelyard.export.browser.tokenisers import read_tokeniser

FRONT_ENDS = frozenset({"numbers", "strings", "counts", "tokens", "image"})
"""The front ends that are written in JavaScript too: ``web/feeds.js``."""
RULES = frozenset({"blend", "pool", "threshold", "odds", "line", "temperature", "isotonic", "cascade"})
"""The rules that are: ``web/rules.js``."""
NEWEST_FORM = 13
"""Version of ONNX's file format that the pinned ONNX Runtime Web reads."""
_SERVE = "serve the bundle with `steelyard serve` instead"


@cache
def operators() -> frozenset[str]:
    """Return the operators that the pinned ONNX Runtime Web was seen to open a graph with.

    Examples
    --------
    >>> {"TreeEnsembleRegressor", "StringConcat", "MatMulInteger"} <= operators()
    True
    """
    return frozenset(files("steelyard.export.browser").joinpath("operators.txt").read_text(encoding="ascii").split())


def check_fits(opened: Opened) -> None:
    """Refuse a bundle that a browser cannot answer with.

    Parameters
    ----------
    opened
        The bundle, verified.

    Raises
    ------
    ExportRefused
        If its task, one of its rules, front ends or operators has no counterpart in the browser.
    """
    problem = opened.manifest.task.problem
    if problem not in OF_ROWS:
        raise ExportRefused(f"a browser answers rows with a class or a number, and this is a {problem.value}; {_SERVE}")
    _check_part(opened)


def _check_part(opened: Opened) -> None:
    model = opened.manifest.model
    if isinstance(model, Several):
        _known("rule", str(model.rule["rule"]), RULES)
        for name in model.members:
            _check_part(opened.member(name))
        return
    artefact = opened.artefact()
    for feed in artefact.feeds:
        check_feed(feed, artefact.files)
    _check_graph(opened.files[GRAPH])


def check_feed(feed: Feed, files: Mapping[str, bytes]) -> None:
    """Refuse a feed that JavaScript does not fill.

    Raises
    ------
    ExportRefused
        If its front end, or a part of its tokenizer, is not written in JavaScript.
    """
    _known("front end", feed.front_end, FRONT_ENDS)
    if feed.front_end == "tokens":
        read_tokeniser(files[feed.options["tokenizer"]])


def _check_graph(graph: bytes) -> None:
    seen = check_graph(graph)
    for _, operator in sorted(seen.operators):
        if operator not in operators():
            raise ExportRefused(f"the graph uses the operator {operator}, which ONNX Runtime Web lacks; {_SERVE}")
    form = form_of(graph)
    if form > NEWEST_FORM:
        raise ExportRefused(f"the graph is written in version {form} of ONNX's format; a browser reads {NEWEST_FORM}")


def form_of(graph: bytes) -> int:
    """Return the version of the file format that a graph is written in (field 1 of onnx.proto's ModelProto)."""
    return next((value for number, value in fields(memoryview(graph)) if number == 1 and isinstance(value, int)), 0)


def _known(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        said = ", ".join(sorted(known))
        raise ExportRefused(f"the {what} {name!r} does not run in a browser, which knows {said}; {_SERVE}")


def plain_task(opened: Opened) -> dict[str, Any]:
    """Return what the browser needs to know of a task, as plain JSON."""
    task = opened.manifest.task
    amounts = [
        {"column": a.column, "times": a.times, "known": a.known, "means": a.means, "high": a.high} for a in task.amounts
    ]
    return {
        "problem": task.problem.value,
        "target": task.target,
        "classes": task.classes,
        "value": task.value,
        "amounts": amounts,
    }
