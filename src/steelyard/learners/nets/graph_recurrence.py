"""The recurrent operators of ONNX in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from steelyard.errors import SteelyardError


class OperatorUnknown(SteelyardError):
    """A node that PyTorch is not told how to compute; the message names it."""


def gru(  # noqa: PLR0917 - as ONNX has them
    given: Mapping[str, Any],
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute ``GRU``: x of shape (steps, n, width) to all states, (steps, directions, n, hidden), and the last one."""
    _check(given, lengths)
    if not given.get("linear_before_reset", 0):
        raise OperatorUnknown("a graph with a GRU that resets before its product is not trained again")
    flat = _flat(weight, recurrence, bias, order=(1, 0, 2))
    first = _start(start, x, recurrence)
    both = len(weight) == 2
    states, last = torch._VF.gru(x, first, flat, bias is not None, 1, 0.0, False, both, False)  # noqa: SLF001 - what nn.GRU itself calls
    return _apart(states, len(weight)), last


def lstm(  # noqa: PLR0917 - as ONNX has them
    given: Mapping[str, Any],
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    start: Tensor | None = None,
    cell: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute ``LSTM``: as :func:`gru`, with the last cell behind."""
    _check(given, lengths)
    flat = _flat(weight, recurrence, bias, order=(0, 2, 3, 1))
    first = (_start(start, x, recurrence), _start(cell, x, recurrence))
    both = len(weight) == 2
    states, last, inner = torch._VF.lstm(x, first, flat, bias is not None, 1, 0.0, False, both, False)  # noqa: SLF001 - as above
    return _apart(states, len(weight)), last, inner


def _check(given: Mapping[str, Any], lengths: Tensor | None) -> None:
    odd = {"activations", "activation_alpha", "activation_beta", "clip", "input_forget"} & set(given)
    backwards = given.get("direction", b"forward") in (b"reverse", "reverse")
    if odd or backwards or lengths is not None or given.get("layout", 0):
        raise OperatorUnknown("a graph with a recurrent node of settings of its own is not trained again")


def _flat(weight: Tensor, recurrence: Tensor, bias: Tensor | None, order: Sequence[int]) -> list[Tensor]:
    """Return the arrays of each direction as PyTorch keeps them, the gates in its order."""
    flat = list[Tensor]()
    for direction in range(len(weight)):
        parts = [weight[direction], recurrence[direction]]
        if bias is not None:
            parts += list(bias[direction].chunk(2))
        for part in parts:
            gates = part.chunk(len(order))
            flat.append(torch.cat([gates[place] for place in order]))
    return flat


def _start(start: Tensor | None, x: Tensor, recurrence: Tensor) -> Tensor:
    return x.new_zeros(len(recurrence), x.shape[1], recurrence.shape[2]) if start is None else start


def _apart(states: Tensor, directions: int) -> Tensor:
    """Return (steps, n, directions * hidden) as (steps, directions, n, hidden)."""
    return states.reshape(*states.shape[:2], directions, -1).transpose(1, 2)
