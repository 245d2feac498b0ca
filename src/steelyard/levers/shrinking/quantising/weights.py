"""The large weights of a graph: where they are, and the same graph with them held in fewer bits.

Weights alone are rounded here; what flows between the nodes stays in floats. Every rewrite says how it runs:

- a large *table* (the rows of a Gather) is gathered in 8 bits, with a scale a row that is gathered beside it;
- a *product* becomes MatMulNBits: blocks of 4 or 8 bits with a scale each, multiplied as they are;
- any other weight is *stored* in 8 or 16 bits, and widened once as a session opens (constant folding): it takes less
  room on disk, and runs exactly as fast as before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from steelyard.levers.shrinking.quantising.editing import DOMAIN, Edit, attribute, readers

WORTH = 1_024
"""Numbers in a weight that make rounding it worth while."""
HUGE = 2_000_000
"""Numbers in a table that make it worth gathering in 8 bits: three nodes more take some 20 microseconds a row, and
save the memory of the floats. A smaller one is stored in 8 bits and widened as a session opens."""
BLOCKS = {8: 128, 4: 32}
"""By bits, how many numbers share a scale in a product: fewer bits are told apart by smaller blocks."""
FLOAT16 = 65_504.0
"""The largest number in float16."""
PLACES: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (1,),
    "Gather": (0,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
    "FusedConv": (1,),
    "FusedGemm": (1,),
    "FusedMatMul": (1,),
    "Attention": (1,),
    "EmbedLayerNormalization": (2, 3, 4),
}
"""By operator, which inputs are weights."""
PRODUCTS = frozenset({"MatMul", "Gemm"})
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Weight:
    """A float weight and the node that computes with it."""

    node: onnx.NodeProto
    array: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape))


def weights_of(model: onnx.ModelProto, least: int | None = None) -> list[Weight]:
    """Return the float weights of at least so many numbers (:data:`WORTH`), in the order of their nodes."""
    enough = WORTH if least is None else least
    big = {
        w.name: tuple(w.dims)
        for w in model.graph.initializer
        if w.data_type == TensorProto.FLOAT and len(w.dims) > 1 and np.prod(w.dims) >= enough
    }
    return [
        Weight(node, node.input[place], big[node.input[place]])
        for node in model.graph.node
        for place in PLACES.get(node.op_type, ())
        if place < len(node.input) and node.input[place] in big
    ]


def rounded(
    model: onnx.ModelProto, bits: int, finer: Collection[str] = (), *, blocks: bool = True, least: int | None = None
) -> None:
    """Hold every large weight that is still float in so many bits, in place.

    Parameters
    ----------
    model
        A graph from :func:`~._editing.ready`; it is changed.
    bits
        8 or 4; what cannot be held in 4 is held in 8.
    finer
        Names of nodes whose weights get the next finer form: a product is stored in 8 bits and multiplied in floats, a
        table has 8 bits instead of 4, anything else stays float.
    blocks
        Whether products multiply blocks as they are, which rounds what flows in too; otherwise they are stored.
    least
        How many numbers make a weight large; :data:`WORTH` where nothing is said.
    """
    edit, values = Edit(model), _values(model)
    read = readers(model.graph)
    for array, used in by_array(model, least).items():
        value, alone = values[array], read[array] == len(used)
        eased = any(weight.node.name in finer for weight in used)
        if value.ndim == 2 and _are_products(used):
            if blocks and alone and not eased:
                _products(edit, array, value, used, bits)
            else:
                store(edit, array, value, shared(used[0].node, value.ndim))
        elif bits == 8 and eased:
            continue
        elif alone and all(_is_table(w.node) for w in used) and (value.size >= HUGE or (bits == 4 and not eased)):
            _table(edit, array, value, used, 8 if eased else bits)
        else:
            store(edit, array, value, shared(used[0].node, value.ndim))
    edit.done()


def halved(model: onnx.ModelProto, kind: int, finer: Collection[str] = (), least: int | None = None) -> None:
    """Store every large weight in 16 bits, in place; one whose numbers do not fit stays float.

    Parameters
    ----------
    model
        A graph from :func:`~._editing.ready`; it is changed.
    kind
        ``TensorProto.FLOAT16`` or ``TensorProto.BFLOAT16``.
    finer
        Names of nodes whose weights stay float.
    least
        How many numbers make a weight large; :data:`WORTH` where nothing is said.
    """
    edit, values = Edit(model), _values(model)
    for array, used in by_array(model, least).items():
        value = values[array]
        if any(weight.node.name in finer for weight in used):
            continue
        if kind == TensorProto.FLOAT16 and np.abs(value).max(initial=0.0) > FLOAT16:
            continue
        if kind == TensorProto.FLOAT16:
            held = numpy_helper.from_array(value.astype(np.float16), f"{array}_16")
        else:
            held = TensorProto(name=f"{array}_16", data_type=kind, dims=value.shape, raw_data=brain(value).tobytes())
        edit.held.append(held)
        edit.front.append(helper.make_node("Cast", [held.name], [array], f"{array}_wide", to=TensorProto.FLOAT))
    edit.done()


def brain(value: Array) -> NDArray[np.uint16]:
    """Return float32 numbers as bfloat16, rounded to nearest even.

    Examples
    --------
    >>> (brain(np.array([1.0, 1.00390625], np.float32)).astype(np.uint32) << 16).view(np.float32).tolist()
    [1.0, 1.0]
    """
    whole = np.ascontiguousarray(value, np.float32).view(np.uint32)
    return np.asarray((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16, np.uint16)


def store(edit: Edit, array: str, value: Array, axes: tuple[int, ...]) -> None:
    """Hold a weight in 8 bits that are widened as a session opens; numbers along some axes share a scale."""
    numbers, scale = scaled(value, axes)
    held = [numpy_helper.from_array(numbers, f"{array}_int8"), numpy_helper.from_array(scale, f"{array}_scale")]
    edit.held.extend(held)
    edit.front += [
        helper.make_node("Cast", [held[0].name], [f"{array}_float"], f"{array}_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{array}_float", held[1].name], [array], f"{array}_wide"),
    ]


def scaled(value: Array, axes: tuple[int, ...]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return numbers from -127 to 127 and their scales, of the same number of axes.

    Examples
    --------
    >>> numbers, scale = scaled(np.array([[64.0, -254.0], [0.0, 0.0]], np.float32), (1,))
    >>> numbers.tolist(), scale.tolist()
    ([[32, -127], [0, 0]], [[2.0], [1.0]])
    """
    most = np.abs(value).max(axis=axes, keepdims=True)
    scale = np.where(most > 0, most / 127, 1.0).astype(np.float32)
    return np.rint(value / scale).astype(np.int8), scale


def blocked(value: Array, bits: int, block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return rows in blocks of unsigned numbers around the middle, and the scale of each block.

    Parameters
    ----------
    value
        float32, shape (rows, columns); the last block of a row is filled up with zeros.
    bits
        8, or 4: two numbers a byte, the first one in the lower half.
    block
        How many numbers share a scale.

    Returns
    -------
    tuple
        uint8 of shape (rows, blocks, block * bits / 8), and float32 of shape (rows, blocks).

    Examples
    --------
    >>> numbers, scale = blocked(np.array([[7.0, -3.5, 0.0, 1.0]], np.float32), 4, 4)
    >>> [hex(n) for n in numbers[0, 0]], scale.tolist()
    (['0x4f', '0x98'], [[1.0]])
    """
    rows, columns = value.shape
    count, half = -(-columns // block), 2 ** (bits - 1)
    whole = np.zeros((rows, count * block), np.float32)
    whole[:, :columns] = value
    cut = whole.reshape(rows, count, block)
    most = np.abs(cut).max(axis=-1)
    scale = np.where(most > 0, most / (half - 1), 1.0).astype(np.float32)
    numbers = np.clip(np.rint(cut / scale[..., None]) + half, 0, 2 * half - 1).astype(np.uint8)
    return (numbers if bits == 8 else numbers[..., 0::2] | (numbers[..., 1::2] << 4)), scale


def by_array(model: onnx.ModelProto, least: int | None = None) -> dict[str, list[Weight]]:
    """Return the weights of :func:`weights_of` by the array that they share."""
    found: dict[str, list[Weight]] = {}
    for weight in weights_of(model, least):
        found.setdefault(weight.array, []).append(weight)
    return found


def _values(model: onnx.ModelProto) -> Mapping[str, Array]:
    wanted = by_array(model, 1)
    return {w.name: numpy_helper.to_array(w) for w in model.graph.initializer if w.name in wanted}


def _is_table(node: onnx.NodeProto) -> bool:
    return node.op_type == "Gather" and attribute(node, "axis", 0) == 0


def _are_products(used: list[Weight]) -> bool:
    """Tell whether all these nodes multiply by the weight, and by the same side of it."""
    scaled_by = {attribute(w.node, name, 1.0) for w in used for name in ("alpha", "beta")}
    turned = {attribute(w.node, "transB", 0) for w in used}
    fit = all(w.node.op_type in PRODUCTS and not attribute(w.node, "transA", 0) for w in used)
    return fit and scaled_by == {1.0} and len(turned) == 1


def shared(node: onnx.NodeProto, axes: int) -> tuple[int, ...]:
    """Return the axes along which numbers share a scale: all but those of what comes out of the node."""
    kind = node.op_type
    if kind in RECURRENT:
        return (axes - 1,)
    if kind in {"Conv", "FusedConv"} or (kind in {"Gemm", "FusedGemm"} and attribute(node, "transB", 0)):
        return tuple(range(1, axes))
    if kind == "FusedMatMul" and attribute(node, "transB", 0):
        return (axes - 1,)
    if kind == "ConvTranspose":
        return (0, *range(2, axes))
    return (axes - 1,) if kind in {"Gather", "EmbedLayerNormalization"} else (axes - 2,)


def _table(edit: Edit, array: str, value: Array, used: list[Weight], bits: int) -> None:
    """Gather rows in few bits and their scales beside them: rows differ in length, and one scale would drown most."""
    block = BLOCKS[4]
    if bits == 4 and value.ndim == 2 and value.shape[1] % block == 0:
        numbers, scale = blocked(value, 4, block)
        held = [_kept(edit, f"{array}_int4", numbers.reshape(len(value), -1)), _kept(edit, f"{array}_scale", scale)]
        more: dict[str, Any] = {"bits": 4, "block_size": block, "gather_axis": 0, "quantize_axis": 1, "domain": DOMAIN}
        for node in (weight.node for weight in used):
            given = [held[0], node.input[1], held[1]]
            edit.instead[node.name] = [helper.make_node("GatherBlockQuantized", given, node.output, node.name, **more)]
        return
    small, scale = scaled(value, tuple(range(1, value.ndim)))
    held = [_kept(edit, f"{array}_int8", small), _kept(edit, f"{array}_scale", scale)]
    for node in (weight.node for weight in used):
        name, ids = node.name, node.input[1]
        edit.instead[name] = [
            helper.make_node("Gather", [held[0], ids], [f"{name}_rows"], f"{name}_rows"),
            helper.make_node("Cast", [f"{name}_rows"], [f"{name}_float"], f"{name}_cast", to=TensorProto.FLOAT),
            helper.make_node("Gather", [held[1], ids], [f"{name}_scales"], f"{name}_scales"),
            helper.make_node("Mul", [f"{name}_float", f"{name}_scales"], node.output, f"{name}_mul"),
        ]


def _products(edit: Edit, array: str, value: Array, used: list[Weight], bits: int) -> None:
    """Multiply by blocks of few bits; activations are rounded to 8 bits block by block (accuracy level 4)."""
    rows = np.ascontiguousarray(value if attribute(used[0].node, "transB", 0) else value.T)
    block = min(BLOCKS[bits], max(16, 1 << (rows.shape[1] - 1).bit_length()))
    numbers, scale = blocked(rows, bits, block)
    held = [_kept(edit, f"{array}_int{bits}", numbers), _kept(edit, f"{array}_scale", scale)]
    more: dict[str, Any] = {
        "K": rows.shape[1],
        "N": rows.shape[0],
        "bits": bits,
        "block_size": block,
        "accuracy_level": 4,
    }
    for node in (weight.node for weight in used):
        biased = len(node.input) > 2 and node.input[2]
        out = [f"{node.name}_product"] if biased else list(node.output)
        given = [node.input[0], *held]
        nodes = [helper.make_node("MatMulNBits", given, out, node.name, domain=DOMAIN, **more)]
        if biased:
            nodes.append(helper.make_node("Add", [out[0], node.input[2]], node.output, f"{node.name}_bias"))
        edit.instead[node.name] = nodes


def _kept(edit: Edit, name: str, value: Array) -> str:
    edit.held.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name
