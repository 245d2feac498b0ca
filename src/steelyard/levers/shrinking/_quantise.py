"""Hold a graph's weights in 8 bits, and compute in them where that is what ONNX Runtime does best."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Artefact, Context, Kind, Meter, Move, Prior, Setting, Space, Split, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training.parts import read_by
from steelyard.recipe import Plan, Settings, Shrink, Train

WORTH = 4_096
"""Numbers in a weight that make quantising a graph worth while."""
LIGHT = 256
"""Numbers in a weight that is quantised too in a convolutional graph, so that values stay in 8 bits between layers."""
BATCH = 32
HEAVY = {"Conv": 1, "Gemm": 1, "MatMul": 1, "Gather": 0}
"""Operators that can compute in 8 bits, and which of their inputs is the weight."""
ALONG = ("Add", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Flatten", "Reshape")
"""Operators that pass 8-bit values on, so that a convolutional net need not go back to floats between layers."""

LARGE = frozenset({Kind.TEXT, Kind.IMAGE, Kind.AUDIO, Kind.TOKENS, Kind.SEQUENCE})
"""Kinds of columns whose models are made of weights worth shrinking."""


class Quantise:
    """Quantises the graph of a finished model to int8.

    Convolutions are quantised with scales for weights *and* activations, which are read from the running graph
    on calibration rows (QDQ form). Everything else keeps float activations and quantises them on the fly, so
    it needs no rows. Preprocessing and small weights stay as they are. Inputs and output keep
    their names and types. Whether the result is smaller, faster and good enough is measured by the caller.
    """

    name = "quantise"
    stage = Stage.SHRINKING
    paper = (
        "Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko: Quantization and Training of Neural Networks for "
        "Efficient Integer-Arithmetic-Only Inference. CVPR 2018, arXiv:1712.05877"
    )
    about = "Holds the weights in 8 bits instead of 32: a quarter of the size, often faster."
    forecasts = True
    space = Space(
        {"rows": Setting(default=256, low=16, high=10_000, log=True, about="Rows that set the scales of activations.")}
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose int8 for a training on text, images or the like whose learner keeps what it knows in weights."""
        recipe = trial.recipe
        if not trial.ending.usable or not isinstance(recipe, Train):
            return
        read = read_by(recipe, context.schema)
        large = any(column.name in read and column.kind in LARGE for column in context.schema.features)
        if not large or not getattr(context.learner(recipe.learner), "weighty", False):
            return
        smaller = Shrink(lever=self.name, parent=recipe)
        if smaller in {t.recipe for t in context.trials}:
            return
        bring = gain(0.005, 0.0, 0.02, "no better answers: what a quarter of the size and time is worth, as a gain")
        why = "holds the weights in 8 bits: smaller, and faster where the machine has 8-bit arithmetic"
        yield Move(recipe=smaller, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with an int8 graph; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If the graph has no weight worth it, a convolutional graph has no rows to calibrate on, or a setting
            is unknown.
        """
        rows = int(settings_of(self.name, self.space, Plan(settings=settings)).number("rows", 0))
        model = onnx.load_model_from_string(artefact.graph)
        _name_nodes(model)
        heavy = _weighted(model, WORTH)
        if not heavy:
            raise LeverRefused(
                f"quantise finds no float weight of {WORTH:,} numbers or more in this graph (trees and small linear "
                "models have none), so 8 bits would save nothing; leave it out with `levers: {without: [quantise]}`"
            )
        del model.graph.value_info[:]  # shapes left by the exporter contradict those of the quantised graph
        add_pre_process_metadata(model)  # what that would do (fold, name, drop), exporters here have done
        if any(node.op_type == "Conv" for node in heavy):
            quantised = _static(model, _weighted(model, LIGHT), artefact, _sample(split, rows, work.seed), meter)
        else:
            quantised = _dynamic(model, heavy)
        return replace(artefact, graph=quantised.SerializeToString(deterministic=True))


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, since quantisation selects nodes by name."""
    names = [node.name for node in model.graph.node]
    for i, node in enumerate(model.graph.node):
        if not node.name or names.count(node.name) > 1:
            node.name = f"{node.op_type}_{i}"


def _weighted(model: onnx.ModelProto, least: int) -> list[onnx.NodeProto]:
    """Return the nodes with a float32 weight of at least so many numbers."""
    big = {
        w.name
        for w in model.graph.initializer
        if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) > 1 and np.prod(w.dims) >= least
    }
    return [
        node
        for node in model.graph.node
        if node.op_type in HEAVY and len(node.input) > HEAVY[node.op_type] and node.input[HEAVY[node.op_type]] in big
    ]


def _dynamic(model: onnx.ModelProto, heavy: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Quantise weights; activations are quantised on the fly. A Gemm becomes a MatMul of a derived name."""
    names = [name for node in heavy for name in (node.name, f"{node.name}_MatMul")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8, nodes_to_quantize=names, per_channel=True)
        return onnx.load(path)


def _static(
    model: onnx.ModelProto, weighted: list[onnx.NodeProto], artefact: Artefact, split: Split, meter: Meter
) -> onnx.ModelProto:
    """Quantise weights and activations, with the ranges that activations have on some rows."""
    if not len(split):
        raise LeverRefused("quantise needs rows to calibrate a convolutional graph on, and there are none; keep some")
    names = [node.name for node in weighted]
    first = min(i for i, node in enumerate(model.graph.node) if node.name in names)
    names += [node.name for node in list(model.graph.node)[first:] if node.op_type in ALONG]
    meter.note(f"quantise set the scales of activations on {len(split)} rows.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Rows(artefact, split),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=names,
        )
        return onnx.load(path)


def _sample(split: Split, rows: int, seed: int) -> Split:
    if len(split) <= rows:
        return split
    return split.take(np.sort(np.random.default_rng(seed).choice(len(split), rows, replace=False)))


class _Rows(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime ships no types
    """Rows as the graph's inputs, a batch at a time."""

    def __init__(self, artefact: Artefact, split: Split) -> None:
        self._fills = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
        self._batches = (
            split.take(np.arange(start, min(start + BATCH, len(split)))) for start in range(0, len(split), BATCH)
        )

    def get_next(self) -> Mapping[str, np.ndarray[Any, Any]] | None:
        """Return the next batch of inputs, or ``None`` after the last."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        return {name: values for fill in self._fills for name, values in fill(batch.columns).items()}
