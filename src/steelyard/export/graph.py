"""The one graph of a bundle: its own, or those of a blend with their weighted mean as last nodes."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np

from steelyard.bundle.manifest import GRAPH, Several
from steelyard.bundle.opening import Opened
from steelyard.errors import need

_SCORES = "scores"


def graph_of(opened: Opened) -> bytes | None:
    """Return a graph that leads from the inputs of a bundle's graphs to its scores; ``None`` where there is none.

    Of a blend, the inputs of member k are those of its graph behind the prefix ``mk/``. A threshold decides and leaves
    the scores as they are. Cascades, whose dear stage is not always asked, and calibrated scores have no such graph.

    Parameters
    ----------
    opened
        The bundle, verified.

    Raises
    ------
    MissingExtra
        If onnx is not installed, where graphs are to be joined.
    """
    joined = opened.manifest.model
    if not isinstance(joined, Several):
        return opened.files[GRAPH]
    if joined.rule["rule"] == "threshold":
        return graph_of(opened.member(joined.members[0]))
    if joined.rule["rule"] != "blend" or find_spec("onnx") is None:
        return None
    members = [graph_of(opened.member(name)) for name in joined.members]
    weights = [float(weight) for weight in joined.rule["weights"]]
    total = math.fsum(weights)
    found = [member for member in members if member is not None]
    return _blended(found, [weight / total for weight in weights]) if len(found) == len(members) else None


def _blended(members: list[bytes], shares: list[float]) -> bytes | None:
    """Return the graph of a weighted mean; ``None`` where the graphs ask for operators of different versions."""
    onnx, compose = (need(name, for_="a graph of a blend") for name in ("onnx", "onnx.compose"))
    parts = [compose.add_prefix(onnx.load_from_string(each), f"m{k}/") for k, each in enumerate(members)]
    operators: dict[str, int] = {}
    for part in parts:
        for each in part.opset_import:
            if operators.setdefault(each.domain, each.version) != each.version:
                return None
    if any(part.functions for part in parts):
        return None
    make = onnx.helper
    double, weighted = onnx.TensorProto.DOUBLE, []
    shape = parts[0].graph.output[_place(parts[0])].type.tensor_type.shape
    sides = [side.dim_param or side.dim_value for side in shape.dim]
    graph = make.make_graph([], "blend", [], [make.make_tensor_value_info(_SCORES, double, sides)])
    for k, (part, share) in enumerate(zip(parts, shares, strict=True)):
        scores = part.graph.output[_place(part)]
        for name in ("node", "initializer", "sparse_initializer", "input", "value_info"):
            getattr(graph, name).extend(getattr(part.graph, name))
        graph.initializer.append(onnx.numpy_helper.from_array(np.float64(share), f"share/{k}"))
        graph.node.append(make.make_node("Cast", [scores.name], [f"wide/{k}"], to=double))
        graph.node.append(make.make_node("Mul", [f"wide/{k}", f"share/{k}"], [f"weighted/{k}"]))
        weighted.append(f"weighted/{k}")
    graph.node.append(make.make_node("Sum", weighted, [_SCORES]))
    versions = [make.make_opsetid(domain, version) for domain, version in operators.items()]
    model = make.make_model(graph, opset_imports=versions, ir_version=max(part.ir_version for part in parts))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _place(part: Any) -> int:
    """Return which of its outputs a member's scores are."""
    names = [output.name.rpartition("/")[2] for output in part.graph.output]
    return names.index(_SCORES)
