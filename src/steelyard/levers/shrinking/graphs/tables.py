"""The tables of a graph that the numbers of tokens point into: found behind an input, and cut to some of their rows."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from steelyard.contracts import Ints
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.graphs.surgery import MICROSOFT, Surgery, attribute

Place = tuple[onnx.NodeProto, int, str]
"""A node, a place among its inputs, and the name that stands there."""
PASSED_ON = frozenset({"Cast", "Identity"})
"""Operators behind which numbers of tokens are still that."""


def cut(graph: Surgery, ids: str, kept: Ints, size: int) -> None:
    """Keep some rows of every table that an input points into.

    Parameters
    ----------
    graph
        Is changed.
    ids
        The input that holds the numbers of tokens.
    kept
        The rows that stay, ascending; row ``kept[i]`` becomes row i.
    size
        How many numbers there were: a table has as many rows at least.

    Raises
    ------
    LeverRefused
        If the graph does something else with the numbers than look up rows of constant tables.
    """
    made: dict[str, str] = {}
    for node in list(_lookups(graph, ids)):
        places = _table(graph, node)
        if places is None or any(graph.held[name].dims[0] < size for _, _, name in places):
            raise _refusal(ids, node)
        for owner, place, name in places:
            if name not in made:
                value = graph.value(name)
                assert value is not None
                made[name] = graph.hold(value[kept], f"{name}_kept")
            owner.input[place] = made[name]
    graph.look()


def _lookups(graph: Surgery, ids: str) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that look up numbers of tokens."""
    for node in graph.readers.get(ids, []):
        if node.op_type in PASSED_ON:
            yield from _lookups(graph, node.output[0])
        elif node.op_type in {"Gather", "GatherBlockQuantized"} and node.input[1] == ids:
            yield node
        elif node.op_type != "Shape":
            raise _refusal(ids, node)


def _refusal(ids: str, node: onnx.NodeProto) -> LeverRefused:
    return LeverRefused(
        f"vocabulary cannot renumber the tokens of this graph, in which {node.op_type} reads {ids!r}; "
        "leave it out with `levers: {without: [vocabulary]}`"
    )


def _table(graph: Surgery, node: onnx.NodeProto) -> list[Place] | None:
    """Return where the constants stand that a lookup takes rows of; ``None`` where some are computed."""
    by_blocks = node.op_type == "GatherBlockQuantized"
    if attribute(node, "gather_axis" if by_blocks else "axis", 0) != 0:
        return None
    if by_blocks:
        fits = node.domain == MICROSOFT and attribute(node, "quantize_axis", 1) != 0
        found = [(node, place, name) for place, name in enumerate(node.input) if place != 1 and name]
    elif node.input[0] in graph.held:
        return [(node, 0, node.input[0])]
    else:
        maker = graph.maker.get(node.input[0])
        if maker is not None and maker.op_type == "Mul":
            return _widened(graph, node.input[0], maker)
        fits = maker is not None and maker.op_type == "DequantizeLinear" and graph.alone(node.input[0]) is not None
        found = _quantised(graph, maker) if maker is not None and fits else []
    return found if fits and all(name in graph.held for _, _, name in found) else None


def _widened(graph: Surgery, table: str, maker: onnx.NodeProto) -> list[Place] | None:
    """Return where numbers and scales stand of a table that is held in 8 bits and widened as a session opens."""
    cast = graph.maker.get(maker.input[0])
    numbers = None if cast is None or cast.op_type != "Cast" else graph.held.get(cast.input[0])
    scales = graph.held.get(maker.input[1])
    alone = all(graph.alone(name) is not None for name in (table, maker.input[0]))
    if cast is None or numbers is None or scales is None or not alone or len(scales.dims) != len(numbers.dims):
        return None
    return [(cast, 0, cast.input[0]), *([(maker, 1, maker.input[1])] if scales.dims[0] > 1 else [])]


def _quantised(graph: Surgery, maker: onnx.NodeProto) -> list[Place]:
    """Return where the numbers stand, and scales and zeros where each row has its own."""
    scales = graph.held.get(maker.input[1])
    own = scales is not None and (len(scales.dims) > 1 or (len(scales.dims) == 1 and attribute(maker, "axis", 1) == 0))
    return [(maker, place, name) for place, name in enumerate(maker.input) if name and (own or place == 0)]
