"""Several nodes as one: attention as a single operator, products of constants, equal constants; and folding.

ONNX Runtime fuses at load what it recognises, and its pattern of attention is that of other exporters: the one here is
that of :mod:`steelyard.learners.pretrained.graph`, one joint product cut into heads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from steelyard.bundle.graphs import check_graph
from steelyard.bundle.running import SLOWER
from steelyard.errors import BundleRefused, need
from steelyard.levers.shrinking.graphs.surgery import MICROSOFT, Surgery, attribute

HEADS, JOINED, SWAPPED = [0, 2, 1, 3], [0, 2, 1, 3], [0, 1, 3, 2]
"""How axes lie: (n, tokens, heads, head) to (n, heads, tokens, head), back, and keys for their product with queries."""
FAR = -1e4
"""What is added to the attention that padding would get is at most this."""
PASSES = 3
WORDS = 4_096
"""Bytes by which a folded graph may be longer: attributes and names that ONNX Runtime writes out."""
QUANTISED = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})
"""Operators that only a graph has that computes in 8 bits."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Scaled products of queries and keys, masked, as shares of the values."""

    heads: int
    query: str
    key: str
    value: str
    """Tensors of shape (n, tokens, heads x head); the scale is in the queries."""
    there: str
    """Float tensor, (n, tokens): 1 where there is a token, 0 where there is padding."""
    end: onnx.NodeProto
    """The node whose output is the result."""


def attend(graph: Surgery) -> int:
    """Put one ``MultiHeadAttention`` in the place of every attention that is written out; returns how many."""
    found = [one for node in graph.nodes if node.op_type == "Softmax" and (one := _attention(graph, node))]
    masks: dict[str, str] = {}
    for one in found:
        made = []
        if one.there not in masks:
            masks[one.there] = graph.name(f"{one.there}_mask")
            made.append(helper.make_node("Cast", [one.there], [masks[one.there]], to=TensorProto.INT32))
        inputs = [one.query, one.key, one.value, "", masks[one.there]]
        far = float(np.finfo(np.float32).min)
        options: dict[str, Any] = {"num_heads": one.heads, "scale": 1.0, "mask_filter_value": far}
        name = f"attention_{one.end.output[0]}"
        made.append(helper.make_node("MultiHeadAttention", inputs, one.end.output, name, domain=MICROSOFT, **options))
        graph.put(one.end, made)
    return len(found)


def _attention(graph: Surgery, softmax: onnx.NodeProto) -> Attention | None:
    """Return the attention that a softmax belongs to, ``None`` where it is none that is known."""
    masked = _by(graph, softmax.input[0], "Add") if attribute(softmax, "axis", -1) in {-1, 3} else None
    there = masked and _there(graph, masked.input[1])
    product = masked and _by(graph, masked.input[0], "MatMul")
    turned = product and _by(graph, product.input[1], "Transpose", perm=SWAPPED)
    mixed = _only(graph, softmax.output[0], "MatMul")
    back = mixed and _only(graph, mixed.output[0], "Transpose", perm=JOINED)
    end = back and _only(graph, back.output[0], "Reshape")
    if not (there and product and turned and mixed and end):
        return None
    parts = [_heads(graph, name) for name in (product.input[0], turned.input[0], mixed.input[1])]
    known = [part for part in parts if part is not None]
    shape = graph.value(end.input[1])
    if len(known) < 3 or len({sizes for _, sizes in known}) != 1 or shape is None:
        return None
    heads, size = known[0][1]
    joined = shape.tolist() in ([0, 0, heads * size], [0, 0, -1])
    query, key, value = (name for name, _ in known)
    return Attention(heads, query, key, value, there, end) if joined else None


def _by(graph: Surgery, name: str, operator: str, **options: Any) -> onnx.NodeProto | None:
    """Return the node that makes a tensor if it is of an operator, with some attributes."""
    return _fits(graph.maker.get(name), operator, options)


def _only(graph: Surgery, name: str, operator: str, **options: Any) -> onnx.NodeProto | None:
    """Return the only node that reads a tensor if it is of an operator, with some attributes."""
    return _fits(graph.alone(name), operator, options)


def _fits(node: onnx.NodeProto | None, operator: str, options: Mapping[str, Any]) -> onnx.NodeProto | None:
    if node is None or node.op_type != operator or node.domain:
        return None
    return node if all(attribute(node, name) == value for name, value in options.items()) else None


def _heads(graph: Surgery, name: str) -> tuple[str, tuple[int, int]] | None:
    """Return what was cut into heads, into how many, and of what size."""
    turned = _by(graph, name, "Transpose", perm=HEADS)
    cut = turned and _by(graph, turned.input[0], "Reshape")
    shape = graph.value(cut.input[1]) if cut else None
    if cut is None or shape is None or len(shape) != 4 or shape[:2].any():
        return None
    return cut.input[0], (int(shape[2]), int(shape[3]))


def _there(graph: Surgery, name: str) -> str | None:
    """Return the tensor that says where tokens are, of a bias that keeps attention from padding."""
    wide = _by(graph, name, "Unsqueeze")
    scaled = wide and _by(graph, wide.input[0], "Mul")
    away = scaled and _by(graph, scaled.input[0], "Sub")
    if not (wide and scaled and away):
        return None
    axes, far, one = (graph.value(each) for each in (wide.input[1], scaled.input[1], away.input[0]))
    fits = axes is not None and axes.tolist() == [1, 2] and far is not None and far.size == 1 and far.item() <= FAR
    return away.input[1] if fits and one is not None and one.size == 1 and one.item() == 1.0 else None


def fused(graph: bytes) -> bytes:
    """Return a graph with its attentions as one operator each."""
    opened = Surgery(graph)
    attend(opened)
    return opened.close()


def plain(graph: bytes) -> bytes:
    """Return a graph with every ``MultiHeadAttention`` of :func:`attend` written out in standard operators.

    For what has to look inside: training, and the removal of heads.
    """
    opened = Surgery(graph)
    fused = [node for node in opened.nodes if node.op_type == "MultiHeadAttention"]
    for node in fused:
        opened.put(node, _written_out(opened, node))
    return opened.close() if fused else graph


def _written_out(graph: Surgery, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    name, heads = node.output[0], attribute(node, "num_heads")
    far = graph.hold(np.array(attribute(node, "mask_filter_value"), np.float32), f"{name}_far")
    one, axes = graph.hold(np.array(1.0, np.float32), f"{name}_one"), graph.hold(np.array([1, 2]), f"{name}_axes")
    cut = graph.hold(np.array([0, 0, heads, -1]), f"{name}_cut")
    joined = graph.hold(np.array([0, 0, -1]), f"{name}_joined")

    def add(operator: str, *inputs: str, output: str = "", **options: Any) -> onnx.NodeProto:
        made = output or graph.name(f"{name}_{operator.lower()}")
        return helper.make_node(operator, inputs, [made], f"{name}_{made}", **options)

    cast = add("Cast", node.input[4], to=TensorProto.FLOAT)
    away = add("Sub", one, cast.output[0])
    scaled = add("Mul", away.output[0], far)
    bias = add("Unsqueeze", scaled.output[0], axes)
    yield from (cast, away, scaled, bias)
    parts = []
    for part in node.input[:3]:
        split = add("Reshape", part, cut)
        turned = add("Transpose", split.output[0], perm=HEADS)
        yield from (split, turned)
        parts.append(turned.output[0])
    swapped = add("Transpose", parts[1], perm=SWAPPED)
    product = add("MatMul", parts[0], swapped.output[0])
    masked = add("Add", product.output[0], bias.output[0])
    shares = add("Softmax", masked.output[0], axis=-1)
    mixed = add("MatMul", shares.output[0], parts[2])
    back = add("Transpose", mixed.output[0], perm=JOINED)
    yield from (swapped, product, masked, shares, mixed, back, add("Reshape", back.output[0], joined, output=name))


def multiply(graph: Surgery) -> int:
    """Make one product of two in a row by constants, where that is not larger; returns how many."""
    made = 0
    for first in list(graph.nodes):
        second = graph.alone(first.output[0]) if first.op_type == "MatMul" else None
        if second is None or second.op_type != "MatMul" or second.input[0] != first.output[0]:
            continue
        left, right = graph.value(first.input[1]), graph.value(second.input[1])
        if left is None or right is None or left.ndim != 2 or right.ndim != 2:
            continue
        if left.dtype == right.dtype == np.float32 and left.shape[0] * right.shape[1] <= left.size + right.size:
            joint = graph.hold((left.astype(np.float64) @ right).astype(np.float32), f"{second.input[1]}_joint")
            node = helper.make_node("MatMul", [first.input[0], joint], second.output, second.name)
            graph.put(second, [node])
            made += 1
    return made


def pad(graph: Surgery) -> int:
    """Let convolutions put the zeros around their inputs that another operator put there; returns how many do."""
    made = 0
    for node in graph.nodes:
        conv = _only(graph, node.output[0], "Conv") if node.op_type == "Pad" else None
        sides = _sides(graph, node) if conv is not None and conv.input[0] == node.output[0] else None
        if conv is None or sides is None or attribute(conv, "auto_pad", b"NOTSET") != b"NOTSET":
            continue
        before = attribute(conv, "pads", [0] * len(sides))
        joined = helper.make_node("Conv", [node.input[0], *conv.input[1:]], conv.output, conv.name)
        joined.attribute.extend(each for each in conv.attribute if each.name != "pads")
        total = [a + b for a, b in zip(before, sides, strict=True)]
        joined.attribute.append(helper.make_attribute("pads", total))
        graph.put(conv, [joined])
        made += 1
    return made


def state(graph: Surgery) -> int:
    """Put constants in the place of sizes that are read off a tensor and are always the same; returns how many.

    Exporters that trace leave branches in a graph that ask for such a size; folding takes the one branch that is left.
    """
    asked = [
        (node, shape)
        for node in graph.nodes
        if node.op_type == "Gather" and (shape := _by(graph, node.input[0], "Shape")) is not None
        if not attribute(shape, "start", 0) and not attribute(shape, "end")
    ]
    if not asked:
        return 0
    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    sizes = {one.name: one.type.tensor_type.shape.dim for one in (*inferred.value_info, *inferred.input)}
    made = 0
    for node, shape in asked:
        axis, found = graph.value(node.input[1]), sizes.get(shape.input[0], ())
        if axis is not None and axis.size == 1 and axis.item() < len(found) and found[axis.item()].dim_value:
            size = np.full(axis.shape, found[axis.item()].dim_value, np.int64)
            graph.rename(node.output[0], graph.hold(size, f"{node.output[0]}_size"))
            made += 1
    return made


def _sides(graph: Surgery, node: onnx.NodeProto) -> list[int] | None:
    """Return how many zeros a node puts before and behind each axis of space; ``None`` where it does anything else."""
    sides, value = graph.value(node.input[1]), graph.value(node.input[2]) if "".join(node.input[2:3]) else np.zeros(1)
    plain = attribute(node, "mode", b"constant") == b"constant" and len(node.input) < 4
    if sides is None or value is None or value.item() != 0 or not plain:
        return None
    half = len(sides) // 2
    outside = [*sides[:2], *sides[half : half + 2]]
    return None if any(outside) or min(sides) < 0 else [*sides[2:half].tolist(), *sides[half + 2 :].tolist()]


def share(graph: Surgery) -> int:
    """Keep one of equal constants; returns how many bytes that saves."""
    known: dict[bytes, str] = {}
    saved = 0
    for name, tensor in list(graph.held.items()):
        value = graph.value(name)
        assert value is not None
        if name in graph.ends or value.dtype == object:
            continue
        key = b"%d %s " % (tensor.data_type, repr(value.shape).encode()) + value.tobytes()
        if key in known:
            graph.rename(name, known[key])
            saved += value.nbytes
        known.setdefault(key, name)
    return saved


def settled(graph: bytes) -> bytes:
    """Return a graph folded as long as that shows more to fold: what is put around, or a size that never changes."""
    for _ in range(PASSES):
        graph = folded(graph)
        opened = Surgery(graph)
        if not pad(opened) + state(opened):
            break
        graph = opened.close()
    return folded(graph)


def folded(graph: bytes) -> bytes:
    """Return a graph as ONNX Runtime saves it: constants computed, dead and doubled nodes gone, neighbours joined.

    Of a graph that computes in 8 bits also with its own 8-bit operators, which shortens the load by a third, unless
    there are operators among them that no bundle may use. Nothing is chosen for the processor: its layouts of
    convolutions belong to a level above. Left as it is where folding makes it larger: some constants are smaller as
    what makes them.
    """
    eight = any(node.op_type in QUANTISED for node in onnx.load_model_from_string(graph).graph.node)
    for level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_BASIC") if eight else ("ORT_ENABLE_BASIC",):
        opened = Surgery(_saved(graph, level))
        share(opened)
        made = opened.close()
        if len(made) <= len(graph) + WORDS and _allowed(made):
            return made
    return graph


def _saved(graph: bytes, level: str) -> bytes:
    runtime = need("onnxruntime", for_="fuse")
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER)
        return path.read_bytes()


def _allowed(graph: bytes) -> bool:
    try:
        check_graph(graph)
    except BundleRefused:
        return False
    return True
