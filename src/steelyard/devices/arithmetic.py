"""What kind of arithmetic a bundle does: a device is slower than this machine in each by another factor."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from steelyard.bundle.graphs import look

_INT8 = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
        "DequantizeLinear",
    }
)
_FLOAT = frozenset({"Attention", "Conv", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"})
SMALL_MS = 0.3
"""An answer that takes less than this is mostly front end and calls, whatever its graph holds."""


class Arithmetic(StrEnum):
    """What most of the time of a bundle goes into."""

    FLOAT = "float"
    INT8 = "int8"
    GENERAL = "general"


def arithmetic_of(folder: Path, p50_ms: float) -> Arithmetic:
    """Return the kind of arithmetic of a bundle by the operators of its graphs, and by how long it takes at all.

    Raises
    ------
    BundleRefused
        If a graph cannot be read.
    """
    operators = (name for file in sorted(folder.rglob("*.onnx")) for _, name in look(file.read_bytes()).operators)
    return kind_of(operators, p50_ms)


def kind_of(operators: Iterable[str], p50_ms: float) -> Arithmetic:
    """Return the kind of arithmetic of some operators.

    Examples
    --------
    >>> kind_of(["Conv", "Relu"], 4.0), kind_of(["MatMulInteger", "MatMul"], 4.0), kind_of(["Gemm"], 0.05)
    (<Arithmetic.FLOAT: 'float'>, <Arithmetic.INT8: 'int8'>, <Arithmetic.GENERAL: 'general'>)
    """
    names = set(operators)
    if names & _INT8:
        return Arithmetic.INT8
    if p50_ms >= SMALL_MS and names & _FLOAT:
        return Arithmetic.FLOAT
    return Arithmetic.GENERAL
