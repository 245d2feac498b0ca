"""The operators of ONNX in PyTorch: what :mod:`steelyard.learners.nets.graph_net` computes a graph with.

Each takes the attributes of a node and its inputs, in order (``None`` where an optional one is left out), and gives its
output, or a tuple of them. Only the attributes that exporters write today are honoured: an operator refuses others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steelyard.learners.nets.graph_recurrence import OperatorUnknown, gru, lstm

Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor | tuple[Tensor, ...]]

TYPES: Mapping[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""By the number that ONNX gives a type."""


def _ints(tensor: Tensor | None) -> list[int]:
    return [] if tensor is None else [int(value) for value in tensor.reshape(-1).tolist()]


def _spatial(given: Attributes, dims: int) -> tuple[list[int], list[int], list[int]]:
    """Return strides, dilations and pads (begins, then ends) of a window over some dimensions."""
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET"):
        raise OperatorUnknown("a graph with a window that pads by itself (auto_pad) is not trained again")
    pads = list(given.get("pads", [0] * 2 * dims))
    return list(given.get("strides", [1] * dims)), list(given.get("dilations", [1] * dims)), pads


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad the last dimensions: ``pads`` holds all begins, then all ends, as ONNX writes them."""
    if not any(pads):
        return x
    half = len(pads) // 2
    flat = [p for place in reversed(range(half)) for p in (pads[place], pads[half + place])]
    return functional.pad(x, flat, value=value)


def _conv(given: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    dims = weight.ndim - 2
    strides, dilations, pads = _spatial(given, dims)
    convolve: Any = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[dims]
    same = pads[:dims] == pads[dims:]
    x = x if same else _padded(x, pads)
    found: Tensor = convolve(
        x, weight, bias, strides, pads[:dims] if same else [0] * dims, dilations, given.get("group", 1)
    )
    return found


def _max_pool(given: Attributes, x: Tensor) -> Tensor:
    size = list(given["kernel_shape"])
    strides, dilations, pads = _spatial(given, len(size))
    pool: Any = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[len(size)]
    low = float("-inf")
    found: Tensor = pool(_padded(x, pads, low), size, strides, 0, dilations, bool(given.get("ceil_mode", 0)))
    return found


def _average_pool(given: Attributes, x: Tensor) -> Tensor:
    size = list(given["kernel_shape"])
    strides, dilations, pads = _spatial(given, len(size))
    if any(d != 1 for d in dilations) or pads[: len(size)] != pads[len(size) :]:
        raise OperatorUnknown("a graph with an average over a dilated or lopsided window is not trained again")
    pool: Any = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[len(size)]
    counts = bool(given.get("count_include_pad", 0))
    found: Tensor = pool(x, size, strides, pads[: len(size)], bool(given.get("ceil_mode", 0)), counts)
    return found


def _over_space(reduce: Callable[..., Tensor]) -> Operator:
    return _plain(lambda x: reduce(x, dim=tuple(range(2, x.ndim)), keepdim=True))


def _gemm(given: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.transpose(0, 1) if given.get("transA", 0) else a
    b = b.transpose(0, 1) if given.get("transB", 0) else b
    product = a @ b
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    product = product if alpha == 1.0 else alpha * product
    return product if c is None else product + (c if beta == 1.0 else beta * c)


def _layer_norm(given: Attributes, x: Tensor, gain: Tensor, offset: Tensor | None = None) -> Tensor:
    axis = given.get("axis", -1) % x.ndim
    return functional.layer_norm(x, list(x.shape[axis:]), gain, offset, given.get("epsilon", 1e-5))


def _batch_norm(  # noqa: PLR0917 - as ONNX has them
    given: Attributes, x: Tensor, gain: Tensor, offset: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return functional.batch_norm(x, mean, variance, gain, offset, training=False, eps=given.get("epsilon", 1e-5))


def _gather(given: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = given.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index)
    if axis == 0 and x.ndim == 2 and x.is_floating_point():
        return functional.embedding(index, x)
    flat = x.index_select(axis, index.reshape(-1))
    return flat.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _slice(  # noqa: PLR0917 - as ONNX has them
    given: Attributes,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    del given
    begins, finishes = _ints(starts), _ints(ends)
    along = _ints(axes) or list(range(len(begins)))
    by = _ints(steps) or [1] * len(begins)
    for axis, begin, end, step in zip(along, begins, finishes, by, strict=True):
        length = x.shape[axis]
        places = range(length)[slice(begin, max(end, -length - 1), step)]
        if step < 0:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
        else:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(places.start, places.stop, places.step),)]
    return x


def _split(given: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = given.get("axis", 0)
    if sizes is not None:
        return torch.split(x, _ints(sizes), axis)
    count = given["num_outputs"]
    return torch.split(x, -(-x.shape[axis] // count), axis)


def _reshape(given: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = _ints(shape)
    if not given.get("allowzero", 0):
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(given: Attributes, x: Tensor) -> Tensor:
    axis = given.get("axis", 1) % (x.ndim + 1)
    return x.reshape(x.shape[:axis].numel(), -1)


def _squeeze(given: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    del given
    return x.squeeze() if axes is None else x.squeeze(tuple(_ints(axes)))


def _unsqueeze(given: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    del given
    places = _ints(axes)
    for axis in sorted(place % (x.ndim + len(places)) for place in places):
        x = x.unsqueeze(axis)
    return x


def _expand(given: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    del given
    sizes = _ints(shape)
    longer = [1] * (len(sizes) - x.ndim) + list(x.shape)
    sizes = [1] * (x.ndim - len(sizes)) + sizes
    return x.expand([own if asked == 1 else asked for own, asked in zip(longer, sizes, strict=True)])


def _pad(given: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    if given.get("mode", b"constant") not in (b"constant", "constant"):
        raise OperatorUnknown("a graph with padding by other than a constant is not trained again")
    sizes, along = _ints(pads), _ints(axes) or list(range(x.ndim))
    half, whole = len(sizes) // 2, [0] * 2 * x.ndim
    for place, axis in enumerate(along):
        whole[axis % x.ndim], whole[x.ndim + axis % x.ndim] = sizes[place], sizes[half + place]
    return _padded(x, whole, 0.0 if value is None else float(value))


def _reduced(reduce: Callable[..., Tensor]) -> Operator:
    def operator(given: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        if axes is None and given.get("noop_with_empty_axes", 0):
            return x
        dims = tuple(_ints(axes)) or tuple(given.get("axes", ())) or tuple(range(x.ndim))
        return reduce(x, dim=dims, keepdim=bool(given.get("keepdims", 1)))

    return operator


def _arg_max(given: Attributes, x: Tensor) -> Tensor:
    return x.argmax(given.get("axis", 0), keepdim=bool(given.get("keepdims", 1)))


def _filled(given: Attributes, shape: Tensor) -> Tensor:
    value: Tensor = given.get("value", torch.zeros(1))
    return value.to(shape.device).reshape(()).expand(_ints(shape)).clone()


def _shape(given: Attributes, x: Tensor) -> Tensor:
    sizes = x.shape[given.get("start", 0) : given.get("end")]
    return torch.tensor(sizes, dtype=torch.int64, device=x.device)


def _range(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype, device=start.device)


def _clip(given: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    del given
    return x.clamp(low, high)


def _gelu(given: Attributes, x: Tensor) -> Tensor:
    how = given.get("approximate", b"none")
    return functional.gelu(x, approximate=how.decode() if isinstance(how, bytes) else how)


def _plain(compute: Callable[..., Any]) -> Operator:
    """Return the operator of a function that no attribute changes."""

    def operator(given: Attributes, *inputs: Tensor) -> Tensor:
        del given
        found: Tensor = compute(*inputs)
        return found

    return operator


def _fold(compute: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return an operator of any number of inputs, two of them at a time."""

    def operator(given: Attributes, first: Tensor, *others: Tensor) -> Tensor:
        del given
        for other in others:
            first = compute(first, other)
        return first

    return operator


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _power(a: Tensor, b: Tensor) -> Tensor:
    return a ** b.to(a.dtype) if b.numel() > 1 else a ** float(b)


OPERATORS: Mapping[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "ArgMax": _arg_max,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": lambda given, x: x.to(TYPES[given["to"]]),
    "Ceil": _plain(torch.ceil),
    "Clip": _clip,
    "Concat": lambda given, *parts: torch.cat(parts, given["axis"]),
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "Div": _plain(_divide),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GRU": gru,
    "GatherElements": lambda given, x, index: x.gather(
        given.get("axis", 0), torch.where(index < 0, index + x.shape[given.get("axis", 0)], index)
    ),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Floor": _plain(torch.floor),
    "GlobalAveragePool": _over_space(torch.mean),
    "GlobalMaxPool": _over_space(torch.amax),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": lambda given, x: (given.get("alpha", 0.2) * x + given.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _plain(functional.hardswish),
    "IsNaN": _plain(torch.isnan),
    "Identity": _plain(lambda x: x),
    "LSTM": lstm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda given, x: functional.leaky_relu(x, given.get("alpha", 0.01)),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "LogSoftmax": lambda given, x: x.log_softmax(given.get("axis", -1)),
    "MatMul": _plain(torch.matmul),
    "Max": _fold(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _fold(torch.minimum),
    "Mod": lambda given, a, b: torch.fmod(a, b) if given.get("fmod", 0) else torch.remainder(a, b),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "Pad": _pad,
    "Pow": _plain(_power),
    "Range": _plain(_range),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceL2": _reduced(torch.linalg.vector_norm),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda given, x: x.softmax(given.get("axis", -1)),
    "Softplus": _plain(functional.softplus),
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Sum": _fold(torch.add),
    "Tanh": _plain(torch.tanh),
    "Tile": _plain(lambda x, times: x.tile(_ints(times))),
    "Transpose": lambda given, x: x.permute(given.get("perm", list(reversed(range(x.ndim))))),
    "Unsqueeze": _unsqueeze,
    "Where": _plain(torch.where),
}
"""By the name of the operator in the standard domain."""
