"""What a graph may ask for: known operator sets only, nothing outside its own bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from steelyard.bundle.wire import Malformed, fields
from steelyard.errors import BundleRefused

NEWEST = {"": 26, "ai.onnx.ml": 5, "com.microsoft": 1}
"""Operator sets that a graph may import, each with the newest version known here."""

QUANTISED = frozenset(
    {
        "DequantizeLinear",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "GatherBlockQuantized",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearReduceMean",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QLinearWhere",
        "QuantizeLinear",
    }
)
"""Operators of ``com.microsoft`` that a graph may use: those that quantisation puts in. Others read files
(``EPContext``) or belong to no standard."""
FUSED = frozenset({"MultiHeadAttention"})
"""Operators of ``com.microsoft`` beside those: what the lever ``fuse`` puts in the place of several."""

_DEEPEST = 32


@dataclass(slots=True)
class Seen:
    """What was found in a graph."""

    opsets: dict[str, int] = field(default_factory=dict)
    operators: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (domain, operator) stands in the graph and the graphs inside it."""
    external: bool = False
    """Whether a tensor keeps its numbers in another file."""
    functions: bool = False
    """Whether the model defines operators of its own, or how to train it."""


def look(graph: bytes) -> Seen:
    """Return what a graph asks for.

    Raises
    ------
    BundleRefused
        If it is no ONNX model.
    """
    seen = Seen()
    try:
        graphs = _model(memoryview(graph), seen)
    except (Malformed, UnicodeDecodeError) as problem:
        raise BundleRefused(f"the graph is no readable ONNX model ({problem}); export it again") from None
    if graphs != 1:
        raise BundleRefused(f"the graph is no readable ONNX model (it holds {graphs} graphs); export it again")
    return seen


def check_graph(graph: bytes) -> Seen:
    """Refuse a graph that asks for more than a bundle may.

    Raises
    ------
    BundleRefused
        If it keeps data in other files, defines functions, or uses operator sets, versions or operators that are
        not known here.
    """
    seen = look(graph)
    if seen.external:
        raise BundleRefused("the graph keeps tensors in another file; export it with its data inside")
    if seen.functions:
        raise BundleRefused("the graph defines functions or a training of its own; export it with functions inlined")
    for domain, version in seen.opsets.items():
        if domain not in NEWEST:
            known = ", ".join(repr(name) for name in NEWEST)
            raise BundleRefused(f"the graph imports operator set {domain!r}, which is not known here; known: {known}")
        if not 1 <= version <= NEWEST[domain]:
            raise BundleRefused(
                f"the graph imports version {version} of operator set {domain!r}; this Steelyard knows up to "
                f"{NEWEST[domain]}: upgrade it, or export the model for an older version"
            )
    for domain, operator in sorted(seen.operators):
        if domain not in seen.opsets:
            raise BundleRefused(f"the graph uses {domain}.{operator} of an operator set that it does not import")
        if domain == "com.microsoft" and operator not in QUANTISED | FUSED:
            raise BundleRefused(f"the graph uses {domain}.{operator}, which is none of the quantised operators allowed")
    return seen


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _text(value: int | memoryview) -> str:
    return str(_bytes(value), "utf-8")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise Malformed("a number where a message belongs")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise Malformed("a message where a number belongs")
    return value


# The field numbers below are those of onnx.proto.


def _model(message: memoryview, seen: Seen) -> int:
    graphs = 0
    for number, value in fields(message):
        if number == 7:
            _graph(_bytes(value), seen, 0)
            graphs += 1
        elif number == 8:
            _opset(_bytes(value), seen)
        elif number in {20, 25}:
            seen.functions = True
    return graphs


def _opset(message: memoryview, seen: Seen) -> None:
    domain, version = "", 0
    for number, value in fields(message):
        if number == 1:
            domain = _domain(_text(value))
        elif number == 2:
            version = _number(value)
    seen.opsets[domain] = max(version, seen.opsets.get(domain, 0))


def _graph(message: memoryview, seen: Seen, depth: int) -> None:
    if depth > _DEEPEST:
        raise Malformed(f"graphs are nested more than {_DEEPEST} deep")
    for number, value in fields(message):
        if number == 1:
            _node(_bytes(value), seen, depth)
        elif number == 5:
            _tensor(_bytes(value), seen)
        elif number == 15:
            _sparse(_bytes(value), seen)


def _node(message: memoryview, seen: Seen, depth: int) -> None:
    operator, domain = "", ""
    for number, value in fields(message):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _domain(_text(value))
        elif number == 5:
            _attribute(_bytes(value), seen, depth)
    seen.operators[domain, operator] += 1


def _attribute(message: memoryview, seen: Seen, depth: int) -> None:
    for number, value in fields(message, step_over=True):
        if number in {5, 10}:
            _tensor(_bytes(value), seen)
        elif number in {6, 11}:
            _graph(_bytes(value), seen, depth + 1)
        elif number in {22, 23}:
            _sparse(_bytes(value), seen)


def _sparse(message: memoryview, seen: Seen) -> None:
    for number, value in fields(message):
        if number in {1, 2}:
            _tensor(_bytes(value), seen)


def _tensor(message: memoryview, seen: Seen) -> None:
    for number, value in fields(message):
        if number == 13 or (number == 14 and value != 0):
            seen.external = True
