"""Nets over readings: causal convolutions of growing reach, or a recurrent layer."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.learners.nets.recurrent import Cell, Recurrent
from steelyard.learners.nets.sequences import MASK, VALUES, Sequences


class SequenceNet(nn.Module):
    """What nets over readings share: scaling, what becomes of a row, and a linear layer.

    A derived class says what becomes of each step (:meth:`states`). Of a row the last state, the mean and the largest
    count. What is masked changes nothing, so a row is answered alike whatever it is batched with. Values that are
    predicted stay within those of training.

    Parameters
    ----------
    reading
        The scales of channels, and how many there are.
    width
        Numbers a step that :meth:`states` returns.
    dropout
        Share of what goes into the linear layer that a training step leaves out.
    outputs
        Columns of the output.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, reading: Sequences, *, width: int, dropout: float, outputs: int) -> None:
        super().__init__()
        self.into = len(reading.centre) + reading.marks
        nothing = [0.0] * reading.marks
        self.register_buffer("centre", torch.tensor([*reading.centre, *nothing], dtype=torch.float32))
        self.register_buffer("scale", 1 / torch.tensor([*reading.spread, *(1.0 for _ in nothing)], dtype=torch.float32))
        self.within = reading.within
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * width, outputs)

    def states(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what each step became, shape (n, steps, width), of scaled readings and a mask (n, steps, 1)."""
        raise NotImplementedError

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, outputs)."""
        mask = inputs[MASK].unsqueeze(2)
        x = (inputs[VALUES] - self.centre) * self.scale * mask
        made = self.head(self.dropout(pooled(self.states(x, mask), mask)))
        if self.within is None or self.training:
            return cast("Tensor", made)
        return cast("Tensor", made.clamp(*self.within))


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Return the last state of each row, the mean and the largest, shape (n, 3 x width); 0 for a row without steps.

    Examples
    --------
    >>> states, mask = torch.tensor([[[1.0], [-3.0], [9.0]]]), torch.tensor([[[1.0], [1.0], [0.0]]])
    >>> pooled(states, mask).tolist()
    [[-3.0, -1.0, 1.0]]
    """
    steps = mask.sum(1)
    there = (steps > 0).to(states.dtype)
    at = (steps - 1).clamp_min(0).long().unsqueeze(2).expand(-1, -1, states.shape[2])
    last = states.gather(1, at).squeeze(1) * there
    mean = (states * mask).sum(1) / steps.clamp_min(1.0)
    far = states - (1 - mask) * FAR
    return torch.cat([last, mean, far.amax(1) * there], 1)


FAR = 1e4
"""What masked states are lowered by before the largest is taken."""


class Block(nn.Module):
    """Two causal convolutions with what came in added; each sees ``reach`` steps apart, and none that come later."""

    def __init__(self, into: int, width: int, *, kernel: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.before = (kernel - 1) * reach
        self.first = nn.Conv1d(into, width, kernel, dilation=reach)
        self.second = nn.Conv1d(width, width, kernel, dilation=reach)
        self.across = nn.Conv1d(into, width, 1) if into != width else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (n, width, steps) of (n, into, steps)."""
        inner = functional.relu(self.first(functional.pad(x, (self.before, 0))))
        inner = functional.relu(self.second(functional.pad(self.dropout(inner), (self.before, 0))))
        return functional.relu(self.dropout(inner) + self.across(x))


class Convolutional(SequenceNet):
    """Bai, Kolter, Koltun: An Empirical Evaluation of Generic Convolutional and Recurrent Networks (2018).

    Each of ``levels`` blocks sees twice as far back as the one before. Weights are not normed, unlike there: on nets of
    this size it costs more than it brings.
    """

    def __init__(
        self, reading: Sequences, *, width: int, levels: int, kernel: int, dropout: float, outputs: int
    ) -> None:
        super().__init__(reading, width=width, dropout=dropout, outputs=outputs)
        self.blocks = nn.Sequential(
            *(
                Block(self.into if level == 0 else width, width, kernel=kernel, reach=2**level, dropout=dropout)
                for level in range(levels)
            )
        )

    def states(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the state of each step; padding stands behind, where no step that counts looks."""
        del mask
        return cast("Tensor", self.blocks(x.transpose(1, 2)).transpose(1, 2))


class RecurrentNet(SequenceNet):
    """A layer of LSTM or GRU cells that reads from both ends."""

    def __init__(self, reading: Sequences, *, units: int, cell: Cell, dropout: float, outputs: int) -> None:
        super().__init__(reading, width=2 * units, dropout=dropout, outputs=outputs)
        self.recurrent = Recurrent(self.into, units, cell)

    def states(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the states of both directions."""
        return cast("Tensor", self.recurrent(x, mask.squeeze(2).long()))


def levels_for(longest: int, kernel: int, *, most: int = 6) -> int:
    """Return how many blocks it takes for the last step to see the first one.

    Examples
    --------
    >>> levels_for(30, 3), levels_for(5, 3), levels_for(100_000, 3)
    (4, 1, 6)
    """
    levels = 1
    while levels < most and 1 + 2 * (kernel - 1) * (2**levels - 1) < longest:
        levels += 1
    return levels
