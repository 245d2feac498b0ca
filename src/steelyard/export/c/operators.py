"""The operators that the learners of tables use, at one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ExportRefused
from steelyard.export.c import forests
from steelyard.export.c.code import C_TYPES, Array, Code, least
from steelyard.export.c.rounding import Rounded
from steelyard.export.c.tensors import (
    Numbers,
    Strings,
    Tensor,
    elementwise,
    reshaped,
    store,
    view,
    whole,
)

FLOAT, BOOL = np.dtype(np.float32), np.dtype(np.bool_)
_KINDS = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
_KINDS |= {12: "uint32", 13: "uint64"}


@dataclass(frozen=True, slots=True)
class Node:
    """A node with what its inputs are, and how its weights were rounded if they were."""

    op: str
    inputs: list[Any]
    attributes: dict[str, Any]
    weights: Rounded | None = None

    def number(self, name: str, otherwise: int) -> int:
        """Return an attribute that is a whole number."""
        return int(self.attributes.get(name, otherwise))


Handler = Callable[[Code, Node], Tensor]


def _kind(*tensors: Any) -> np.dtype[Any]:
    return next(tensor.kind if isinstance(tensor, Numbers) else tensor.dtype for tensor in tensors)


def _infix(sign: str) -> Handler:
    def make(code: Code, node: Node) -> Tensor:
        return elementwise(code, _kind(*node.inputs), lambda a, b: f"({a} {sign} {b})", *node.inputs)

    return make


def _compare(sign: str) -> Handler:
    def make(code: Code, node: Node) -> Tensor:
        return elementwise(code, BOOL, lambda a, b: f"({a} {sign} {b})", *node.inputs)

    return make


def _call(function: str, kind: np.dtype[Any] | None = None) -> Handler:
    def make(code: Code, node: Node) -> Tensor:
        found = kind or _kind(*node.inputs)
        name = function if found != np.float64 or function == "isnan" else function.removesuffix("f")
        return elementwise(code, found, lambda a: f"{name}({a})", *node.inputs)

    return make


def _sum(code: Code, node: Node) -> Tensor:
    return elementwise(code, _kind(*node.inputs), lambda *cells: f"({' + '.join(cells)})", *node.inputs)


def _mod(code: Code, node: Node) -> Tensor:
    if node.number("fmod", 0) or _kind(*node.inputs).kind == "f":
        raise ExportRefused("the graph takes remainders of numbers with a fraction, which have no C form here")
    return elementwise(code, _kind(*node.inputs), lambda a, b: f"(({a} % {b} + {b}) % {b})", *node.inputs)


def _where(code: Code, node: Node) -> Tensor:
    kind = _kind(*node.inputs[1:])
    return elementwise(code, kind, lambda test, a, b: f"({test} ? {a} : {b})", *node.inputs)


def _clip(code: Code, node: Node) -> Tensor:
    kind = _kind(node.inputs[0])
    name = f"{code.prefix}_clip" if kind == FLOAT else f"{code.prefix}_clip_number"
    if kind.kind != "f":
        raise ExportRefused("the graph cuts off whole numbers, which has no C form here; use --to ort")
    code.helpers.add("clip" if kind == FLOAT else "clip_number")
    low, high = (
        node.inputs[i] if len(node.inputs) > i and node.inputs[i] is not None else end
        for i, end in (
            (1, np.array(-np.inf, kind)),
            (2, np.array(np.inf, kind)),
        )
    )
    return elementwise(code, kind, lambda x, a, b: f"{name}({x}, {a}, {b})", node.inputs[0], low, high)


def _cast(code: Code, node: Node) -> Tensor:
    name = _KINDS.get(node.number("to", 0))
    (tensor,) = node.inputs
    if name is None or not isinstance(tensor, Numbers):
        raise ExportRefused("the graph casts to a type that has no C form here; use --to ort")
    kind = np.dtype(name)
    if tensor.kind == np.uint64 and kind == np.int64:  # kept: look-ups compare the same bits
        return tensor
    test = " != 0" if kind == BOOL and tensor.kind != BOOL else ""
    return elementwise(code, kind, lambda a: f"({C_TYPES[kind.name]})({a}{test})", tensor)


def _gather(code: Code, node: Node) -> Tensor:
    data, places = node.inputs
    axis = node.number("axis", 0)
    if isinstance(data, Strings):
        raise ExportRefused("the graph picks among strings, which has no C form here; use --to ort")
    if isinstance(data, Numbers):
        if not isinstance(places, np.ndarray):
            raise ExportRefused("the graph picks by a number of the row among numbers of the row; use --to ort")
        at = np.take(np.arange(data.size).reshape(data.shape), places, axis=axis)
        return view(code, data, at.ravel(), at.shape)
    if axis != 0 or isinstance(places, np.ndarray):
        raise ExportRefused("the graph looks up columns by a number of the row, which has no C form here")
    return _rows(code, data, whole(code, places), node.weights)


def _rows(code: Code, table: Array, places: Numbers, weights: Rounded | None) -> Numbers:
    """Return rows of a constant table by numbers of the row, as float where the table was rounded."""
    each = int(np.prod(table.shape[1:], dtype=np.int64))
    if each > 1:
        places = store(code, places, "id")
    values = table.ravel() if weights is None else least(weights.whole.ravel())
    step = np.zeros(0) if weights is None else weights.step.astype(np.float32)

    def at(i: str) -> str:
        row, column = (i, "0") if each == 1 else ("0", "0") if i == "0" else (f"({i} / {each})", f"({i} % {each})")
        place = places.at(row) if each == 1 else f"{places.at(row)} * {each} + {column}"
        found = code.look(values, place, "table" if weights is None else "weight")
        return found if weights is None else f"({code.constant(step, column)} * (float){found})"

    return Numbers((*places.shape, *table.shape[1:]), table.dtype, at)


def _concat(code: Code, node: Node) -> Tensor:
    parts: list[Numbers] = []
    for each in node.inputs:
        if isinstance(each, Strings):
            raise ExportRefused("the graph joins strings of the row, which has no C form here; use --to ort")
        if isinstance(each, Numbers):
            parts += each.parts or (each,)
        else:
            parts.append(_constant(code, each))
    rank = len(parts[0].shape)
    if node.number("axis", 0) % rank != rank - 1 and rank > 1:
        raise ExportRefused("the graph joins tensors along a middle axis, which has no C form here; use --to ort")
    if any(np.prod(part.shape[:-1], dtype=np.int64) != 1 for part in parts):
        return _woven(code, parts)
    width = sum(part.shape[-1] for part in parts)
    return Numbers((*parts[0].shape[:-1], width), parts[0].kind, _never, parts=tuple(parts))


def _woven(code: Code, parts: list[Numbers]) -> Numbers:
    """Store tensors side by side, row by row."""
    rows = int(np.prod(parts[0].shape[:-1], dtype=np.int64))
    width = sum(part.shape[-1] for part in parts)
    name, first = code.buffer(parts[0].c, rows * width), 0
    for part in parts:
        each = part.shape[-1]
        with code.loop(rows) as row, code.loop(each) as column:
            code.add(f"{name}[{row} * {width} + {first} + {column}] = {part.at(f'({row} * {each} + {column})')};")
        first += each
    return Numbers((*parts[0].shape[:-1], width), parts[0].kind, lambda i: f"{name}[{i}]", stored=True)


def _never(_: str) -> str:
    raise AssertionError("a tensor in parts is asked part by part")


def _constant(code: Code, values: NDArray[Any]) -> Numbers:
    return Numbers(values.shape, values.dtype, lambda i: code.constant(values, i))


def _strings(code: Code, node: Node) -> Tensor:
    del code
    prefixes, cells = node.inputs
    if not isinstance(cells, Strings) or not isinstance(prefixes, np.ndarray):
        raise ExportRefused("the graph joins strings in a way that has no C form here; use --to ort")
    found = np.broadcast_to(prefixes, cells.shape).ravel()
    texts = tuple(f"{_text(new)}{old}" for new, old in zip(found, cells.prefixes, strict=True))
    return Strings(cells.shape, cells.columns, texts)


def _text(value: object) -> str:
    return value.decode(errors="surrogatepass") if isinstance(value, bytes) else str(value)


def _transpose(code: Code, node: Node) -> Tensor:
    (tensor,) = node.inputs
    axes = node.attributes.get("perm")
    at = np.transpose(np.arange(tensor.size).reshape(tensor.shape), None if axes is None else axes.tolist())
    return view(code, tensor, at.ravel(), at.shape)


def _reshape(code: Code, node: Node) -> Tensor:
    tensor, shape = node.inputs
    return reshaped(code, tensor, np.zeros(tensor.shape, np.int8).reshape(shape.tolist()).shape)


def _unsqueeze(code: Code, node: Node) -> Tensor:
    tensor, axes = node.inputs
    return reshaped(code, tensor, np.expand_dims(np.zeros(tensor.shape, np.int8), tuple(axes.tolist())).shape)


def _squeeze(code: Code, node: Node) -> Tensor:
    tensor, *axes = node.inputs
    picked = tuple(axes[0].tolist()) if axes else None
    return reshaped(code, tensor, np.squeeze(np.zeros(tensor.shape, np.int8), picked).shape)


def _reduce_sum(code: Code, node: Node) -> Tensor:
    tensor, axes = node.inputs
    (axis,) = axes.tolist()
    tensor = whole(code, tensor)
    before = int(np.prod(tensor.shape[:axis], dtype=np.int64))
    length = tensor.shape[axis]
    after = int(np.prod(tensor.shape[axis + 1 :] if axis != -1 else (), dtype=np.int64))
    name = code.buffer(tensor.c, before * after, "sum")
    with code.loop(before * after) as i:
        code.add(f"{name}[{i}] = 0;")
        with code.loop(length) as j:
            at = j if i == "0" and after == 1 else f"(({i} / {after}) * {length} + {j}) * {after} + {i} % {after}"
            code.add(f"{name}[{i}] += {tensor.at(at if at == j else f'({at})')};")
    shape = np.sum(np.zeros(tensor.shape, np.int8), axis=axis, keepdims=bool(node.number("keepdims", 1))).shape
    return Numbers(shape, tensor.kind, lambda i: f"{name}[{i}]", stored=True)


def _matmul(code: Code, node: Node) -> Tensor:
    tensor, weights = node.inputs
    if not isinstance(tensor, Numbers) or not isinstance(weights, np.ndarray) or tensor.size != weights.shape[0]:
        raise ExportRefused("the graph multiplies two tensors of the row, which has no C form here; use --to ort")
    sums = weights.shape[1]
    name = code.buffer(tensor.c, sums, "sum")
    made = node.weights
    stored = weights if made is None else least(made.whole.reshape(weights.shape))
    with code.loop(sums) as k:
        code.add(f"{name}[{k}] = 0;")
    first = 0
    for part in tensor.parts or (tensor,):
        rows = np.ascontiguousarray(stored[first : first + part.size])
        first += part.size
        if not part.stored and sums > 1:
            part = store(code, part)  # noqa: PLW2901 - the same numbers
        with code.loop(part.size) as j, code.loop(sums) as k:
            at = j if sums == 1 else f"{j} * {sums} + {k}"
            weight = code.table(rows, "weight") + f"[{at}]"
            code.add(f"{name}[{k}] += {part.at(j)} * {weight if made is None else f'(float){weight}'};")
    if made is None:
        return Numbers((1, sums), tensor.kind, lambda i: f"{name}[{i}]", stored=True)
    step = made.step.astype(np.float32)
    return Numbers((1, sums), tensor.kind, lambda i: f"({code.constant(step, i)} * {name}[{i}])")


def _encode(code: Code, node: Node) -> Tensor:
    (tensor,) = node.inputs
    keys, values, otherwise = _encoding(node.attributes)
    if isinstance(tensor, Strings):
        return _encoded_strings(code, tensor, dict(zip(map(_text, keys), values, strict=True)), otherwise)
    if tensor.kind not in (np.dtype(np.int64), np.dtype(np.uint64)):
        raise ExportRefused("the graph looks up numbers with a fraction, which has no C form here; use --to ort")
    tensor = store(code, tensor, "key")
    order = np.argsort(keys.astype(np.int64).view(np.uint64))
    sorted_keys = code.table(keys.astype(np.int64).view(np.uint64)[order], "key")
    found = code.table(
        np.append(least(values) if values.dtype.kind == "i" else values, otherwise)[[*order, -1]].astype(
            least(np.append(values, otherwise)).dtype if values.dtype.kind == "i" else np.float32
        ),
        "value",
    )
    code.helpers.add("find")
    return Numbers(
        tensor.shape,
        values.dtype if values.dtype.kind == "i" else FLOAT,
        lambda i: f"{found}[{code.prefix}_find({sorted_keys}, {len(keys)}, (uint64_t){tensor.at(i)})]",
    )


def _encoding(attributes: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Return keys, values and the value of what is no key."""
    keys = next((attributes[name] for name in ("keys_strings", "keys_int64s") if name in attributes), None)
    if keys is not None and "values_int64s" in attributes:
        return keys, np.asarray(attributes["values_int64s"], np.int64), attributes.get("default_int64", -1)
    if keys is not None and "values_floats" in attributes:
        return keys, np.asarray(attributes["values_floats"], np.float32), attributes.get("default_float", 0.0)
    raise ExportRefused("the graph looks up values of a type that has no C form here; use --to ort")


def _encoded_strings(code: Code, cells: Strings, of: dict[str, Any], otherwise: Any) -> Numbers:
    """Return what category codes are looked up as: a table a column, of its values in the order of their codes."""
    kind = FLOAT if isinstance(otherwise, float) else np.dtype(np.int64)
    tables, starts, ends = list[Any](), list[int](), list[int]()
    for column, prefix in zip(cells.columns, cells.prefixes, strict=True):
        own = {key.removeprefix(prefix): value for key, value in of.items() if key.startswith(prefix)}
        code.categories.setdefault(column, set()).update(own)
        known = ["", *code.values.get(column, ())]
        starts.append(len(tables))
        tables += [own.get(value, otherwise) for value in known]
        ends.append(len(known))
    values = np.array([*tables, otherwise])
    name = code.table(values.astype(np.float32) if kind == FLOAT else least(values.astype(np.int64)), "value")
    codes = np.array([code.fields.index(column) for column in cells.columns], np.int64)
    code.helpers.add("place")
    first, count = np.array(starts, np.int64), np.array(ends, np.int64)
    out = cells.shape
    return Numbers(
        out,
        kind,
        lambda i: (
            f"{name}[{code.prefix}_place(category[{code.index(codes, i)}], {code.index(count, i)}, "
            f"{code.index(first, i)}, {len(tables)})]"
        ),
    )


def _forest(code: Code, node: Node) -> Tensor:
    (tensor,) = node.inputs
    given = {name: value for name, value in node.attributes.items() if isinstance(value, np.ndarray)}
    plain = node.attributes.get("post_transform", b"NONE"), node.attributes.get("aggregate_function", b"SUM")
    if plain != (b"NONE", b"SUM"):
        raise ExportRefused("the graph's trees are not simply added up, which has no C form here; use --to ort")
    return forests.forest(code, whole(code, tensor), given, node.number("n_targets", 1), node.weights)


def _sigmoid(code: Code, node: Node) -> Tensor:
    code.helpers.add("sigmoid")
    return elementwise(code, FLOAT, lambda a: f"{code.prefix}_sigmoid({a})", *node.inputs)


def _softmax(code: Code, node: Node) -> Tensor:
    (tensor,) = node.inputs
    code.helpers.add("softmax")
    name = code.buffer("float", tensor.size, "share")
    tensor = whole(code, tensor)
    with code.loop(tensor.size) as i:
        code.add(f"{name}[{i}] = {tensor.at(i)};")
    code.add(f"{code.prefix}_softmax({name}, {tensor.size});")
    return Numbers(tensor.shape, FLOAT, lambda i: f"{name}[{i}]", stored=True)


def _same(code: Code, node: Node) -> Tensor:
    del code
    tensor: Tensor = node.inputs[0]
    return tensor


HANDLERS: dict[str, Handler] = {
    "Add": _infix("+"),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _infix("/"),
    "Equal": _compare("=="),
    "Floor": _call("floorf"),
    "Gather": _gather,
    "Greater": _compare(">"),
    "GreaterOrEqual": _compare(">="),
    "Identity": _same,
    "IsNaN": _call("isnan", BOOL),
    "LabelEncoder": _encode,
    "MatMul": _matmul,
    "Mod": _mod,
    "Mul": _infix("*"),
    "ReduceSum": _reduce_sum,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "StringConcat": _strings,
    "Sub": _infix("-"),
    "Sum": _sum,
    "Transpose": _transpose,
    "TreeEnsembleRegressor": _forest,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""What makes C of a node, by its operator."""
