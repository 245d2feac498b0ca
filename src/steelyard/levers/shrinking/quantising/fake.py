"""Rounding while a net is trained, so that its weights learn to be rounded: quantisation-aware training.

Weights are rounded per channel and activations per tensor, as the exported graph will; the gradient passes straight
through where a number is within its range. Jacob et al.: Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018, arXiv:1712.05877; the straight-through estimate: Bengio, Leonard,
Courville, 2013, arXiv:1308.3432.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from torch import Tensor, nn

from steelyard.levers.shrinking.quantising.weights import shared, weights_of

MEMORY = 0.95
"""Share of an activation's range that is kept from batch to batch; the rest is that of the newest one."""


class Rounding:
    """Stands between heavy nodes and their inputs (:data:`steelyard.learners.nets.graph_net.Around`).

    Parameters
    ----------
    model
        The graph that is trained.
    least
        How many numbers make a weight that is rounded, and with it what flows into its node.
    narrow
        Whether weights use 7 bits of 8.
    """

    def __init__(self, model: onnx.ModelProto, least: int, *, narrow: bool) -> None:
        found = [w for w in weights_of(model, least) if w.node.op_type != "Gather"]
        self._axes: Mapping[str, tuple[int, ...]] = {w.node.name: shared(w.node, len(w.shape)) for w in found}
        self._most = 63 if narrow else 127
        self._ranges: dict[str, tuple[Tensor, Tensor]] = {}

    def __call__(self, step: Any, place: int, value: Tensor) -> Tensor:
        """Return an input of a node as it is after rounding; others as they are."""
        axes = self._axes.get(step.name)
        if axes is None or not value.is_floating_point():
            return value
        if isinstance(value, nn.Parameter):
            return self._weight(value, axes) if value.ndim > 1 else value
        return self._activation(step.name, value) if place == 0 else value

    def _weight(self, value: Tensor, axes: tuple[int, ...]) -> Tensor:
        scale = value.detach().abs().amax(axes, keepdim=True).clamp_min(1e-12) / self._most
        return value + ((value.detach() / scale).round() * scale - value.detach())

    def _activation(self, name: str, value: Tensor) -> Tensor:
        low, high = value.detach().amin().clamp_max(0.0), value.detach().amax().clamp_min(0.0)
        if name in self._ranges:
            before_low, before_high = self._ranges[name]
            low = MEMORY * before_low + (1 - MEMORY) * low
            high = MEMORY * before_high + (1 - MEMORY) * high
        self._ranges[name] = (low, high)
        scale = ((high - low) / 255).clamp_min(1e-12)
        within = value.clamp(low, high)
        return within + (((within - low) / scale).round() * scale + low - within).detach()
