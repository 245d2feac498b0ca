"""Intel's quantisers for ONNX: python neural_compressor_run.py GRAPH ROWS FOLDER (in their environment).

Their defaults, and per channel, since ours has that. The graph optimisation that they would begin with is left out: it
moves weights to a second file, which is gone when the result is read.
"""

from __future__ import annotations

from typing import Any

import onnx
from common import attempt, given
from onnx_neural_compressor.data_reader import CalibrationDataReader
from onnx_neural_compressor.quantization import QuantFormat, config, matmul_nbits_quantizer
from onnx_neural_compressor.quantization.quantize import quantize
from onnxruntime import GraphOptimizationLevel

GRAPH, READER, FOLDER = given()


class Rows(CalibrationDataReader):  # type: ignore[misc] # ships no types
    """The calibration rows."""

    def get_next(self) -> Any:
        return READER.get_next()

    def rewind(self) -> None:
        READER.rewind()


def static(**more: Any) -> Any:
    READER.rewind()
    return config.StaticQuantConfig(calibration_data_reader=Rows(), quant_format=QuantFormat.QDQ, **more)


CONFIGS = {
    "dynamic": config.DynamicQuantConfig,
    "dynamic-per-channel": lambda: config.DynamicQuantConfig(per_channel=True),
    "static": static,
    "static-per-channel": lambda: static(per_channel=True),
}


def run(name: str) -> None:
    plain = GraphOptimizationLevel.ORT_DISABLE_ALL
    quantize(str(GRAPH), str(FOLDER / f"neural-compressor {name}.onnx"), CONFIGS[name](), plain)


def blocks() -> None:
    made = matmul_nbits_quantizer.MatMulNBitsQuantizer(
        onnx.load(GRAPH), n_bits=4, algo_config=matmul_nbits_quantizer.RTNWeightOnlyQuantConfig()
    )
    made.process()
    onnx.save(getattr(made.model, "model", made.model), FOLDER / "neural-compressor blocks-4.onnx")


for each in CONFIGS:
    attempt(f"neural-compressor {each}", lambda name=each: run(name))
attempt("neural-compressor blocks-4", blocks)
