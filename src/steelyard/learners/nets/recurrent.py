"""A recurrent layer that answers a row the same whatever it is batched with."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Cell = Literal["lstm", "gru"]


class Recurrent(nn.Module):
    """One layer that reads sequences from both ends.

    Schuster, Paliwal: Bidirectional Recurrent Neural Networks, IEEE Transactions on Signal Processing 1997; with the
    cell of Hochreiter and Schmidhuber (LSTM, 1997) or of Cho et al. (GRU, 2014). The second direction reads each row
    from its own last step, so that padding comes after what is read in both and changes nothing; a packed sequence
    says the same and trains two to three times as slowly on a processor.

    Parameters
    ----------
    into
        Numbers a step.
    width
        Units a direction.
    cell
        ``"lstm"`` or ``"gru"``.

    Attributes
    ----------
    width
        Numbers a step of the output: the units of both directions.
    """

    def __init__(self, into: int, width: int, cell: Cell) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.forth = kind(into, width, batch_first=True)
        self.back = kind(into, width, batch_first=True)
        self.width = 2 * width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return shape (n, steps, 2 x units), 0 where the mask is.

        Parameters
        ----------
        x
            Shape (n, steps, into).
        mask
            Whole numbers of shape (n, steps): 1 for the steps of a row, then 0.
        """
        steps = torch.arange(x.shape[1], device=x.device)
        mirror = (mask.sum(1, keepdim=True) - 1 - steps) % x.shape[1]
        there = mask.unsqueeze(2).to(x.dtype)
        forth, _ = self.forth(x * there)
        back, _ = self.back(_turned(x * there, mirror))
        return torch.cat([forth, _turned(back, mirror)], 2) * there


def _turned(x: Tensor, mirror: Tensor) -> Tensor:
    """Return each row with its steps in the order of ``mirror``."""
    return x.gather(1, mirror.unsqueeze(2).expand(-1, -1, x.shape[2]))


def pooled(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean and the largest value over the steps of each row, shape (n, 2 x numbers).

    Values must lie from -1 to 1, as the states of both cells do, and masked ones be 0. A row without steps gives 0
    and -2.

    Examples
    --------
    >>> x, mask = torch.tensor([[[0.5], [-0.25], [0.0]]]), torch.tensor([[1, 1, 0]])
    >>> pooled(-x, mask).tolist()
    [[-0.125, 0.25]]
    """
    there = mask.unsqueeze(2).to(x.dtype)
    mean = x.sum(1) / there.sum(1).clamp_min(1.0)
    return torch.cat([mean, (x + 2 * (there - 1)).amax(1)], 1)
