"""Training on inputs that were moved a little in the direction that harms most, and what is left of accuracy there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from steelyard.learners.nets._machine import moved
from steelyard.learners.nets.reading import Material

Inputs = dict[str, Tensor]
Lost = Callable[[Inputs], Tensor]
"""From inputs to the loss of the net that is attacked."""
AT_ONCE = 128
TINY = 1e-12


class Attack(Protocol):
    """A way to harm a net by moving what it reads."""

    def losses(self, net: nn.Module, inputs: Inputs, lost: Lost) -> tuple[Tensor, Tensor]:
        """Return the loss on inputs as they are, and on inputs moved to harm."""
        ...


@dataclass(frozen=True, slots=True)
class Fgm:
    """Moves embedded text one step along the gradient of the loss.

    Miyato, Dai, Goodfellow: Adversarial Training Methods for Semi-Supervised Text Classification, ICLR 2017.

    Parameters
    ----------
    radius
        How far a row is moved: a share of the length of what its embeddings are together, so that it means the same
        for embeddings of any scale.
    """

    radius: float

    def losses(self, net: nn.Module, inputs: Inputs, lost: Lost) -> tuple[Tensor, Tensor]:
        """Return the clean loss and the harmed one; both carry gradients, the step does not."""
        tables = [module for module in net.modules() if isinstance(module, nn.Embedding)][:1]
        with _watched(tables) as (embedded, there):
            clean = lost(inputs)
        harm = torch.autograd.grad(clean, embedded, retain_graph=True)
        steps = [self._step(*each) for each in zip(embedded, harm, there, strict=True)]
        with _moved_by(tables, steps):
            return clean, lost(inputs)

    def _step(self, x: Tensor, harm: Tensor, there: Tensor) -> Tensor:
        x, harm = x.detach() * there, harm.detach() * there
        size, length = (one.flatten(1).norm(dim=1)[:, None, None] for one in (x, harm))
        step: Tensor = self.radius * size * harm / length.clamp_min(TINY)
        return step


def hardened(net: nn.Module, inputs: Inputs, lost: Lost) -> Tensor:
    """Return the loss to train on: of a net with an ``attack`` the mean of the clean loss and the harmed one.

    Hooks of a net that was compiled are not called, so one with an attack must not be.
    """
    attack: Attack | None = getattr(net, "attack", None)
    if attack is None:
        return lost(inputs)
    clean, harmed = attack.losses(net, inputs, lost)
    return (clean + harmed) / 2


def accuracies(attack: Attack, net: nn.Module, material: Material, target: NDArray[np.int64]) -> tuple[float, float]:
    """Return the shares of rows that a net decides rightly, as they are and moved to harm.

    Parameters
    ----------
    attack
        Moves each row by the gradient of its own loss.
    net
        In evaluation mode, on the CPU; left so.
    material
        The rows.
    target
        Class codes, shape (n,).
    """
    right = np.zeros(2)
    order = np.arange(len(material)) if material.lengths is None else np.argsort(material.lengths, kind="stable")
    device = next(net.parameters()).device
    for start in range(0, len(order), AT_ONCE):
        rows = order[start : start + AT_ONCE]
        codes = torch.from_numpy(target[rows])
        said: list[Tensor] = []

        def lost(inputs: Inputs, codes: Tensor = codes, said: list[Tensor] = said) -> Tensor:
            outputs: Tensor = net(inputs)
            said.append(outputs.argmax(1))
            return functional.cross_entropy(outputs, codes, reduction="sum")

        with torch.enable_grad():
            attack.losses(net, moved(material.batch(rows), device), lost)
        right += [float((one == codes).sum()) for one in said]
    net.zero_grad(set_to_none=True)
    return float(right[0] / len(material)), float(right[1] / len(material))


@contextmanager
def _watched(tables: list[nn.Embedding]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Collect what tables of embeddings give out, and where that is no padding, shape (n, L, 1)."""
    found: list[Tensor] = []
    there: list[Tensor] = []

    def keep(table: nn.Module, given: tuple[Tensor, ...], x: Tensor) -> Tensor:
        x = x if x.requires_grad else x.detach().requires_grad_()
        found.append(x)
        padding = -1 if table.padding_idx is None else int(str(table.padding_idx))
        there.append(given[0].ne(padding).unsqueeze(-1))
        return x

    handles = [table.register_forward_hook(keep) for table in tables]
    try:
        yield found, there
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _moved_by(tables: list[nn.Embedding], steps: list[Tensor]) -> Iterator[None]:
    """Add steps to what tables of embeddings give out, call by call."""
    left = iter(steps)

    def move(_: nn.Module, __: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return x + next(left)

    handles = [table.register_forward_hook(move) for table in tables]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
