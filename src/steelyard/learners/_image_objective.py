"""What a net of images makes small where a lever asks for more than the usual loss: mixtures, and attacks withstood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from steelyard.learners._image_pixels import MOST, PARTNER, SHARE, Pixels

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From outputs, target and row weights to the weighted mean."""


class Attacked(Protocol):
    """What an attack needs of a net."""

    @property
    def pixels(self) -> Pixels:
        """What standardises pixels."""
        ...

    def answer(self, x: Tensor, /) -> Tensor:
        """Return logits or values of standardised pixels."""
        ...

    def train(self, mode: bool = True, /) -> Any:
        """Put the net into training mode."""
        ...

    def eval(self) -> Any:
        """Put the net into evaluation mode."""
        ...


@dataclass(frozen=True, slots=True)
class Attack:
    """Projected gradient descent: the change of an image, at most ``reach`` a pixel, that raises the loss the most.

    Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
    One step from a random start is the quick kind: Wong, Rice, Kolter: Fast is Better than Free, ICLR 2020.

    Attributes
    ----------
    reach
        Most that a pixel is changed, in shades of 255.
    steps
        Gradients that are taken.
    """

    reach: float
    steps: int

    def __call__(self, x: Tensor, pixels: Pixels, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Return attacked images.

        Parameters
        ----------
        x
            Standardised pixels, shape (n, channels, height, width).
        pixels
            What standardised them: it says what black and white are.
        loss
            From such pixels to the loss that is raised.
        """
        clean = x.detach()
        reach = self.reach * pixels.scale
        low, high = ((shade - pixels.mean) * pixels.scale for shade in (0.0, MOST))
        low, high = torch.maximum(clean - reach, low), torch.minimum(clean + reach, high)
        stride = reach * (1.25 if self.steps == 1 else 2.5 / self.steps)
        found = clean + (2 * torch.rand_like(clean) - 1) * reach
        for _ in range(self.steps):
            found = found.clamp(low, high).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(found), found)
            found = found.detach() + stride * gradient.sign()
        return found.clamp(low, high).detach()


class Objective:
    """The loss of a batch of images, which it is told of as the net reads them.

    Parameters
    ----------
    plain
        The loss of images that are neither mixed nor attacked.
    """

    def __init__(self, plain: Loss) -> None:
        self._plain = plain
        self._inputs: dict[str, Tensor] = {}

    def heed(self, inputs: dict[str, Tensor], x: Tensor) -> None:
        """Take note of the batch whose loss comes next, and of its standardised pixels."""
        del x
        self._inputs = {name: inputs[name] for name in (PARTNER, SHARE) if name in inputs}

    def __call__(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean loss where each target counts by its share of the image.

        Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018.
        """
        if not self._inputs:
            return self._plain(outputs, target, weights)
        partner, share = self._inputs[PARTNER], self._inputs[SHARE]
        if target.is_floating_point():
            wide = share.reshape(-1, *[1] * (target.ndim - 1))
            return self._plain(outputs, wide * target + (1 - wide) * target[partner], weights)
        own, other = weights * share, weights * (1 - share)
        losses = self._plain(outputs, target, own) * own.sum()
        return (losses + self._plain(outputs, target[partner], other) * other.sum()) / weights.sum()


class Withstood(Objective):
    """A loss half of which is taken under attack.

    Parameters
    ----------
    plain, attack
        The loss, and what raises it.
    net
        What is attacked: it has ``pixels`` and ``answer``, as :class:`steelyard.learners._image_net.ImageNet`.
    share
        Of the loss, that of the attacked images.
    """

    def __init__(self, plain: Loss, attack: Attack, net: Attacked, share: float = 0.5) -> None:
        super().__init__(plain)
        self._attack, self._net, self._share = attack, net, share
        self._x = torch.empty(0)

    def heed(self, inputs: dict[str, Tensor], x: Tensor) -> None:
        """Take note of the batch whose loss comes next, and of its standardised pixels."""
        super().heed(inputs, x)
        self._x = x

    def __call__(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean loss of a batch, as it is and under attack."""
        plain, net, x = super().__call__, self._net, self._x
        net.eval()  # an attack must not move the statistics of BatchNorm
        attacked = self._attack(x, net.pixels, lambda found: plain(net.answer(found).float(), target, weights))
        net.train()
        under = plain(net.answer(attacked).float(), target, weights)
        return (1 - self._share) * plain(outputs, target, weights) + self._share * under
