"""What the inputs of a bundle's graphs are and how they are made, as plain JSON that needs no Steelyard to be read."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.manifest import Several
from steelyard.bundle.opening import Opened
from steelyard.contracts import Feed
from steelyard.data.coerce import BLANKS, MISSING, MISSING_NUMBER
from steelyard.errors import need

PLAIN = frozenset({"numbers", "strings"})
"""Front ends that only put cells side by side: all else of the preprocessing stands in the graph."""


def described(opened: Opened, graph: str, prefix: str = "") -> dict[str, Any]:
    """Return a bundle as a tree: models with their inputs, rules with their members.

    Parameters
    ----------
    graph
        Name of the file that each model's graph lies in, behind the place of the model.
    prefix
        The place of this bundle in the folder.
    """
    model = opened.manifest.model
    if isinstance(model, Several):
        members = [described(opened.member(name), graph, f"{prefix}{name}/") for name in model.members]
        return {"rule": dict(model.rule), "members": members}
    return {
        "graph": f"{prefix}{graph}",
        "inputs": [each for feed in model.feeds for each in _inputs(feed, opened.artefact().graph, f"{prefix}files/")],
        "output": "scores",
        "preprocessing": "wholly in the graph" if is_plain(opened) else "the front ends named below, then the graph",
    }


def is_plain(opened: Opened) -> bool:
    """Tell whether every front end only puts numbers, times or categories side by side."""
    model = opened.manifest.model
    if isinstance(model, Several):
        return all(is_plain(opened.member(name)) for name in model.members)
    return all(feed.front_end in PLAIN for feed in model.feeds)


def about(opened: Opened, graph: str) -> dict[str, Any]:
    """Return everything that a caller must know of a bundle: task, columns, cells that are missing, models."""
    manifest = opened.manifest
    named = {value.name: value for value in manifest.signature.inputs}
    return {
        "task": {
            "problem": manifest.task.problem.value,
            "target": manifest.task.target,
            "classes": list(manifest.task.classes),
            "value": _value(opened),
        },
        "columns": [
            {"name": column.name, "kind": column.kind.value, "notation": column.notation, "lenient": column.lenient}
            | {"type": named[column.name].type, "unit": named[column.name].unit}
            for column in manifest.columns
            if column.name in named
        ],
        "missing": {"category": sorted(MISSING), "number": sorted(MISSING_NUMBER), "stripped": BLANKS},
        "model": described(opened, graph),
    }


def _value(opened: Opened) -> list[list[float]] | None:
    """Return what each decision is worth, amounts of a row at their means; ``None`` where that is not asked for."""
    task = opened.manifest.task
    if task.value is None:
        return None
    worth = np.asarray(task.value, np.float64)
    for amount in task.amounts:
        worth = worth + np.asarray(amount.times) * np.asarray(amount.means)[:, None]
    return [[float(each) for each in row] for row in worth]


def _inputs(feed: Feed, graph: bytes, files: str) -> list[dict[str, Any]]:
    types = _types(graph)
    maker = FRONT_ENDS[feed.front_end]
    words = inspect.cleandoc(inspect.getdoc(getattr(maker, "__self__", maker)) or "")
    plain = re.sub(r":(?:class|data|func|meth|mod|attr):`~?([^`]+)`", r"\1", words).replace("``", "")
    options = dict(feed.options)
    return [
        {
            "name": name,
            **types.get(name, {}),
            "front_end": feed.front_end,
            "place": f"{place + 1} of {len(feed.inputs)}",
            "columns": list(feed.columns),
            "options": options,
            "files": files if any(isinstance(value, str) for value in options.values()) else "",
            "made": " ".join(plain.split()),
        }
        for place, name in enumerate(feed.inputs)
    ]


def _types(graph: bytes) -> dict[str, dict[str, Any]]:
    """Return element type and shape of each input, a side that varies by its name."""
    onnx = need("onnx", for_="the inputs of a graph")
    found = {}
    for each in onnx.load_from_string(graph).graph.input:
        tensor = each.type.tensor_type
        sides = [side.dim_param or side.dim_value or None for side in tensor.shape.dim]
        found[each.name] = {"type": onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": sides}
    return found
