"""A mean of the weights that a training passes, which is often better than the last ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from steelyard.learners.nets._walk import SWA_FROM

MEMORY, SHARE = 2, 1 / 16
"""Epochs that the running mean looks back: so many, but this share of a short course, or its beginning would ship."""


def _falling(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # PyTorch's own has no types


class Average:
    """The mean that a course asks for; without one it is the net itself.

    ``"ema"``: Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging, 1992, with the weight of steps
    falling exponentially; statistics of BatchNorm are averaged with them. ``"swa"``: Izmailov, Podoprikhin, Garipov,
    Vetrov, Wilson: Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018; statistics of BatchNorm
    are taken anew for the mean.
    """

    def __init__(self, net: nn.Module, kind: str, steps: int, epochs: int) -> None:
        self._net, self._kind = net, kind
        self.mean: AveragedModel | None = None
        if kind == "ema":
            decay = 1 - 1 / (min(MEMORY, SHARE * epochs) * steps + 1)
            self.mean = AveragedModel(net, multi_avg_fn=_falling(decay), use_buffers=True)
        elif kind == "swa":
            self.mean = AveragedModel(net)
        self._norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())  # noqa: SLF001 - as torch

    def stepped(self) -> None:
        """Take the weights after a step."""
        if self._kind == "ema" and self.mean is not None:
            self.mean.update_parameters(self._net)

    def ended(self, progress: float, batches: Iterable[dict[str, Tensor]]) -> nn.Module:
        """Return the net to judge after an epoch; ``batches`` hold training rows, for the statistics of BatchNorm."""
        if self._kind == "swa" and self.mean is not None and progress >= SWA_FROM:
            self.mean.update_parameters(self._net)
            if self._norms:
                with torch.no_grad():
                    update_bn(cast("Any", batches), self.mean)
        return self.shown

    @property
    def shown(self) -> nn.Module:
        """The net that would ship now: the mean, once it holds something."""
        if self.mean is None or int(self.mean.n_averaged) == 0:
            return self._net
        return self.mean.module

    def state(self) -> dict[str, Tensor]:
        """Return what the mean is made of."""
        return {} if self.mean is None else self.mean.state_dict()

    def take(self, state: dict[str, Tensor]) -> None:
        """Go on from such a state."""
        if self.mean is not None:
            self.mean.load_state_dict(state)
