"""A net as an ONNX graph: from the inputs of its feeds to ``scores``."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import onnx
import torch
from torch import Tensor, nn

from steelyard.contracts import Problem, Task
from steelyard.errors import need
from steelyard.learners._graph import IR_VERSION, OPSETS
from steelyard.learners.nets.scale import Scale

Axes = Mapping[str, Mapping[int, str]]
"""By the name of an input, its axes of any length, each with a name; axes of one name have one length."""
ROWS, STEPS = "n", "steps"


def axes_of(inputs: Mapping[str, Tensor], ragged: bool) -> Axes:
    """Return the axes of any length: rows; and, where rows differ in length, the second axis of whatever has one.

    Examples
    --------
    >>> axes_of({"ids": torch.zeros(2, 5), "size": torch.zeros(2)}, ragged=True)
    {'ids': {0: 'n', 1: 'steps'}, 'size': {0: 'n'}}
    """
    return {name: {0: ROWS, 1: STEPS} if ragged and one.ndim > 1 else {0: ROWS} for name, one in inputs.items()}


class Whole(nn.Module):
    """A net and what makes scores of its outputs, with its inputs in a fixed order."""

    spread: Tensor
    centre: Tensor

    def __init__(self, net: nn.Module, names: tuple[str, ...], task: Task, scale: Scale) -> None:
        super().__init__()
        self.net, self._names, self._classes = net, names, bool(task.classes)
        self.register_buffer("spread", torch.as_tensor(scale.spread, dtype=torch.float32))
        self.register_buffer("centre", torch.as_tensor(scale.centre, dtype=torch.float32))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return probabilities, or values in the target's own unit."""
        outputs: Tensor = self.net(dict(zip(self._names, inputs, strict=True)))
        return outputs.softmax(-1) if self._classes else outputs * self.spread + self.centre


def exported(net: nn.Module, inputs: Mapping[str, Tensor], axes: Axes, task: Task, scale: Scale) -> bytes:
    """Return a net as a graph with the one output ``scores``.

    PyTorch's tracing exporter is taken: on a small net with an LSTM it needs half a second where the one on
    ``torch.export`` needs 16, and both make one LSTM node of it. A net with ``dynamo = True`` is exported by the latter
    (which needs onnxscript). What is traced must not depend on the values or sizes of the example; the parity check of
    every trial sees to that.

    Parameters
    ----------
    net
        Left on the CPU and in evaluation mode.
    inputs
        An example of two rows or more, whose shapes and types the graph takes over.
    axes
        Which of its axes may have any length.
    task
        Classes get a softmax; values are brought back to their own unit by ``scale``.
    """
    whole = Whole(net.cpu(), tuple(inputs), task, scale).eval()
    dynamic = {name: dict(found) for name, found in axes.items()}
    out = {0: ROWS, 1: STEPS} if task.problem is Problem.TAGGING else {0: ROWS}
    with _quiet(), torch.no_grad():
        if getattr(net, "dynamo", False):
            model = _by_export(whole, inputs, dynamic)
        else:
            model = _by_tracing(whole, inputs, dynamic, out)
    del model.graph.value_info[:]  # shapes of the example, which later passes would believe
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "steelyard", ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _by_tracing(
    whole: Whole, inputs: Mapping[str, Tensor], axes: dict[str, dict[int, str]], out: dict[int, str]
) -> onnx.ModelProto:
    held = io.BytesIO()
    torch.onnx.export(
        whole,
        tuple(inputs.values()),
        cast("Any", held),  # a buffer is taken as well as a path
        input_names=list(inputs),
        output_names=["scores"],
        dynamic_axes={**axes, "scores": out},
        opset_version=OPSETS[""],
        dynamo=False,
    )
    return onnx.load_model_from_string(held.getvalue())


def _by_export(whole: Whole, inputs: Mapping[str, Tensor], axes: dict[str, dict[int, str]]) -> onnx.ModelProto:
    shapes = tuple(dict.fromkeys(axes.get(name, {}), torch.export.Dim.DYNAMIC) for name in inputs)
    need("onnxscript", for_="exporting this net")
    program = torch.onnx.export(
        whole,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=["scores"],
        dynamic_shapes=(shapes,),
        opset_version=OPSETS[""],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        named = axes.get(value.name, {0: ROWS})
        for place, axis in enumerate(value.type.tensor_type.shape.dim):
            if place in named:
                axis.dim_param = named[place]
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters from telling of their own future, and of operators that nobody asked for."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
