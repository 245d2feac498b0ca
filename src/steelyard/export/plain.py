"""``--to onnx``: the plain graphs, what their inputs are, and a page of Python that answers with them."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from steelyard.bundle.manifest import GRAPH, Several
from steelyard.bundle.opening import Opened
from steelyard.contracts import Problem
from steelyard.export.bundles import Source, graphs_of, manifest_of, write
from steelyard.export.described import about, is_plain
from steelyard.export.formats import Given, Written
from steelyard.export.graph import graph_of

INPUTS, EXAMPLE, JOINED = "inputs.json", "predict.py", "joined.onnx"
_RULES = frozenset({"blend", "line", "temperature", "threshold"})
"""Rules that ``predict.py`` knows."""
_README = """\
# {target}: plain ONNX

{lines}
"""


def folder(source: Source, given: Given) -> Written:
    """Write the folder.

    Raises
    ------
    MissingExtra
        If onnx is not installed.
    """
    assert given.out is not None, "a folder was asked for"
    opened = source.opened
    files = manifest_of(opened)
    for place, one in graphs_of(opened):
        start = f"{place}/" if place else ""
        artefact = one.artefact()
        files[f"{start}{GRAPH}"] = artefact.graph
        files |= {f"{start}files/{name}": content for name, content in artefact.files.items()}
    files[INPUTS] = json.dumps(about(opened, GRAPH), indent=1, ensure_ascii=False).encode(errors="surrogatepass")
    said = ["the preprocessing is wholly in the graph" if is_plain(opened) else f"{INPUTS} says how inputs are made"]
    whole = graph_of(opened) if isinstance(opened.manifest.model, Several) else None
    if whole is not None:
        files[JOINED] = whole
        said.append(f"{JOINED} is all of it as one graph; a threshold decides on its scores")
    obstacle = _obstacle(opened)
    if obstacle is None:
        files[EXAMPLE] = resources.files("steelyard.export").joinpath("example.py.txt").read_bytes()
        said.append(f"{EXAMPLE} answers rows with onnxruntime and numpy alone")
    else:
        said.append(f"no {EXAMPLE}: {obstacle}")
    lines = "\n".join(f"- {line}" for line in (*said, f"`{INPUTS}`: inputs, columns, missing cells, classes, rules"))
    files["README.md"] = _README.format(target=opened.manifest.task.target, lines=lines).encode()
    size = write(given.out, files)
    return Written(str(given.out), said=(f"{size / 1e6:.2f} MB", *said))


def _obstacle(opened: Opened) -> str | None:
    """Return why the example would not answer as the bundle does; ``None`` where it would."""
    task = opened.manifest.task
    if task.problem not in {Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION}:
        return f"{task.problem.value} is more than a class or a number a row"
    if not is_plain(opened):
        return "its front ends are more than numbers and categories side by side"
    if unknown := _rules(opened) - _RULES:
        return f"the rule {min(unknown)!r} is not a matter of a page"
    if any(amount.known for amount in task.amounts):
        return "decisions depend on the money at stake in each row"
    read = {value.name for value in opened.manifest.signature.inputs}
    if odd := [c.name for c in opened.manifest.columns if c.name in read and (c.notation or c.lenient)]:
        return f"column {odd[0]!r} is written in a way of its own"
    return None


def _rules(opened: Opened) -> set[str]:
    model: Any = opened.manifest.model
    if not isinstance(model, Several):
        return set()
    return {model.rule["rule"]}.union(*(_rules(opened.member(name)) for name in model.members))
