"""Computing in 8 bits: products whose activations are rounded as they come, convolutions with ranges read before.

ONNX Runtime's own quantiser writes the nodes; what is decided here is which nodes, with which ranges and how many bits.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Artefact, Split
from steelyard.levers.shrinking.quantising.editing import copied
from steelyard.levers.shrinking.quantising.weights import Weight, weights_of

LIGHT = 256
"""Numbers in a weight that is quantised too in a convolutional graph, so that values stay in 8 bits between layers."""
BATCH = 32
PRODUCTS = frozenset({"MatMul", "LSTM", "Attention"})
"""Operators that multiply many positions of a row by one weight, if what flows into them has three axes."""
MULTIPLY = frozenset({"MatMul", "Gemm", "LSTM", "Attention"})
"""Operators that have a form which rounds what comes in on the fly."""
CONVOLVE = frozenset({"Conv", "Gemm", "MatMul"})
"""Operators with weights that compute in 8 bits between ranges that are known."""
ALONG = ("Add", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Flatten", "Reshape")
"""Operators that pass 8-bit values on, so that a convolutional net need not go back to floats between layers."""
METHODS: Mapping[str, CalibrationMethod] = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
}
"""How the range of an activation is read off rows: all of it, or what 99.999% of its values lie within. ONNX Runtime
has a third, by entropy (Migacz, 8-bit Inference with TensorRT, 2017); with its 128 bins for 128 steps it cuts nothing,
so it is not offered."""


def dynamic(model: onnx.ModelProto, finer: Collection[str], *, narrow: bool) -> onnx.ModelProto:
    """Return a graph whose products compute in 8 bits; the range of what flows in is read as it comes.

    It is one range for all rows of a call, so that a row's scores depend a little on the rows beside it.

    Parameters
    ----------
    model
        The float graph; it stays as it is.
    finer
        Names of nodes that are left alone.
    narrow
        Whether weights use 7 bits of 8; see :attr:`~.Instructions.saturates`.
    """
    products = [w.node for w in weights_of(model) if w.node.op_type in MULTIPLY and not _stacked(w)]
    nodes = [node for node in products if node.name not in finer]
    # a Gemm becomes a MatMul of a derived name
    names = sorted({name for node in nodes for name in (node.name, f"{node.name}_MatMul")})
    if not names:
        return copied(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            _known(model),
            path,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=narrow,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # behind operators of the runtime's own
        )
        return onnx.load(path)


def static(
    model: onnx.ModelProto, finer: Collection[str], *, narrow: bool, scales: str, rows: CalibrationDataReader
) -> onnx.ModelProto:
    """Return a graph that computes in 8 bits from its first convolution on, with ranges read off rows.

    Parameters
    ----------
    model
        The float graph; it stays as it is.
    finer
        Names of nodes that are left alone.
    narrow
        Whether weights use 7 bits of 8.
    scales
        A key of :data:`METHODS`.
    rows
        What runs through the graph; see :class:`Rows`.
    """
    named = [w.node.name for w in weights_of(model, LIGHT) if w.node.op_type in CONVOLVE and not _stacked(w)]
    if not named:
        return copied(model)
    nodes = list(model.graph.node)
    first = next(place for place, node in enumerate(nodes) if node.name in named)
    names = [name for name in named if name not in finer]
    if not names:
        return copied(model)
    names += [node.name for node in nodes[first:] if node.op_type in ALONG]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        with contextlib.redirect_stdout(io.StringIO()):  # what reads ranges prints how
            quantize_static(
                _known(model),
                path,
                rows,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=narrow,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=names,
                calibrate_method=METHODS[scales],
            )
        return onnx.load(path)


def of_positions(model: onnx.ModelProto) -> bool:
    """Tell whether a large weight multiplies many positions of a row (tokens, steps), not one vector a row."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value for value in (*inferred.value_info, *inferred.input)}
    for node in (w.node for w in weights_of(model) if w.node.op_type in PRODUCTS and not _stacked(w)):
        shape = known[node.input[0]].type.tensor_type if node.input[0] in known else None
        if node.op_type != "MatMul" or shape is None or not shape.HasField("shape") or len(shape.shape.dim) > 2:
            return True
    return False


def _stacked(weight: Weight) -> bool:
    """Tell whether a product is one of several matrices at once, which has no form in 8 bits with a scale a column."""
    return weight.node.op_type == "MatMul" and len(weight.shape) > 2


def _known(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that says it was preprocessed: what that would do (fold, name, drop) exporters have done."""
    other = copied(model)
    add_pre_process_metadata(other)
    return other


def tensors(artefact: Artefact, split: Split, batch: int = BATCH) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Yield the inputs of an artefact's graph for some rows, a batch at a time."""
    fills = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    for start in range(0, len(split), batch):
        some = split.take(np.arange(start, min(start + batch, len(split)))).columns
        yield {name: values for fill in fills for name, values in fill(some).items()}


class Rows(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime ships no types
    """Rows as the graph's inputs, a batch at a time."""

    def __init__(self, artefact: Artefact, split: Split) -> None:
        self._batches = tensors(artefact, split)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next batch of inputs, or ``None`` after the last."""
        return next(self._batches, None)
