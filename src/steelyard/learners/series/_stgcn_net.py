"""The net of :mod:`steelyard.learners.series._stgcn`: convolutions in time, gated, around convolutions on a graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

KERNEL = 3
ORDER = 3
"""Chebyshev polynomials: neighbours up to two edges away."""
SATURDAY = 5
SHRINK = 4 * (KERNEL - 1)
"""Steps of the history that the two blocks use up."""


class TemporalConv(nn.Module):
    """A convolution over time whose one half gates the other, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, kernel: int = KERNEL) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2 * outputs, (kernel, 1))
        self.short = nn.Conv2d(inputs, outputs, 1)
        self.kernel = kernel

    def forward(self, states: Tensor) -> Tensor:
        """Map (n, inputs, steps, series) to (n, outputs, steps - kernel + 1, series)."""
        value, gate = self.conv(states).chunk(2, dim=1)
        found: Tensor = (value + self.short(states[:, :, self.kernel - 1 :])) * torch.sigmoid(gate)
        return found


class GraphConv(nn.Module):
    """A convolution on the graph by Chebyshev polynomials of its scaled Laplacian (Defferrard et al. 2016)."""

    laplacian: Tensor

    def __init__(self, inputs: int, outputs: int, laplacian: Tensor) -> None:
        super().__init__()
        self.mix = nn.Conv2d(ORDER * inputs, outputs, 1)
        self.short = nn.Conv2d(inputs, outputs, 1)
        self.register_buffer("laplacian", laplacian)

    def forward(self, states: Tensor) -> Tensor:
        """Map (n, inputs, steps, series) to (n, outputs, steps, series)."""
        once = torch.matmul(states, self.laplacian)
        twice = 2 * torch.matmul(once, self.laplacian) - states
        return torch.relu(self.mix(torch.cat([states, once, twice], dim=1)) + self.short(states))


class Block(nn.Module):
    """Time, graph, time; then each channel and series is normalised over the batch."""

    def __init__(self, inputs: int, width: int, laplacian: Tensor, dropout: float) -> None:
        super().__init__()
        self.before = TemporalConv(inputs, width)
        self.across = GraphConv(width, max(8, width // 2), laplacian)
        self.after = TemporalConv(max(8, width // 2), width)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Map (n, inputs, steps, series) to (n, width, steps - 4, series)."""
        found: Tensor = self.drop(self.norm(self.after(self.across(self.before(states)))))
        return found


def _clock(last: Tensor) -> Tensor:
    """Return the time of the day as a point on a circle, and whether it is a weekend, of the last step ahead."""
    turn = last[:, :1] * (math.pi / 12)
    return torch.cat([torch.sin(turn), torch.cos(turn), (last[:, 1:2] >= SATURDAY).to(turn.dtype)], dim=1)


class StgcnNet(nn.Module):
    """Two blocks and a head that gives all steps ahead at once, as a change from the last value.

    Parameters
    ----------
    sizes
        Steps of the history, steps ahead, channels of the history, width of a block.
    mean, spread
        Of each channel of the history in training, shape (channels,).
    laplacian
        Scaled to eigenvalues from -1 to 1, shape (series, series).
    dropout
        Share of states that a training step leaves out.
    dated
        Whether the calendar ahead is read: the time of day and the weekend of the last step.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        sizes: tuple[int, int, int, int],
        mean: Tensor,
        spread: Tensor,
        laplacian: Tensor,
        *,
        dropout: float,
        dated: bool,
    ) -> None:
        super().__init__()
        steps, horizon, channels, width = sizes
        self.series, self.horizon = laplacian.shape[0], horizon
        shared = channels - self.series
        self.dated = dated
        self.first = Block(1 + shared + 3 * dated, width, laplacian, dropout)
        self.second = Block(width, width, laplacian, dropout)
        self.last = TemporalConv(width, width, steps - SHRINK)
        self.head = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, horizon, 1))
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return values ahead in the scale of training, (n, horizon x series)."""
        history = (inputs["history"] - self.mean) / self.spread
        own = history[:, :, : self.series].unsqueeze(1)
        others = history[:, :, self.series :].permute(0, 2, 1).unsqueeze(3)
        states = torch.cat([own, others.expand(-1, -1, -1, self.series)], dim=1)
        if self.dated:
            clock = _clock(inputs["calendar"][:, -1])[:, :, None, None]
            states = torch.cat([states, clock + 0.0 * states[:, :1].expand(-1, 3, -1, -1)], dim=1)
        found = self.head(self.last(self.second(self.first(states)))).squeeze(2)
        ahead: Tensor = found + history[:, -1:, : self.series]
        return ahead.reshape(-1, self.horizon * self.series)

    def loss(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean absolute error of the values that are known."""
        known = ~torch.isnan(target)
        apart = (outputs - torch.where(known, target, torch.zeros_like(target))).abs() * known * weights[:, None]
        return apart.sum() / (known * weights[:, None]).sum().clamp_min(1e-12)
