"""What levers change of a net of images before it is trained: its loss, and the weights that it starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from steelyard.contracts import Meter, Work
from steelyard.learners._image_checkpoints import take_over
from steelyard.learners._image_learner import ADVERSARIAL, PRETRAINED
from steelyard.learners._image_net import ImageNet
from steelyard.learners._image_objective import Attack, Objective, Withstood
from steelyard.learners._image_pixels import INPUT
from steelyard.learners._image_pretext import pretrain
from steelyard.learners.nets._losses import usual_loss
from steelyard.learners.nets.augment import NAME as AUGMENT
from steelyard.learners.nets.course import Told
from steelyard.learners.nets.learner import SELF_SUPERVISED
from steelyard.learners.nets.reading import Held
from steelyard.recipe import Settings

REACH, STEPS = 2.0, 1
PACE = 0.3
"""Rate at which a body from a checkpoint learns, as a share of the rate of the head, which is new."""
LOOKED_AT, HARDER = 500, 10
"""Validation rows that are attacked after training, and steps of that attack."""


def objective_of(net: ImageNet, settings: Told) -> Objective | None:
    """Return the loss that the levers of a plan ask for; ``None`` for the usual one."""
    plain = usual_loss((settings.part("regularise") or Settings()).number("label_smoothing", 0.0))
    asked = settings.part(ADVERSARIAL)
    if asked is not None:
        attack = Attack(asked.number("epsilon", REACH), int(asked.number("steps", STEPS)))
        return Withstood(plain, attack, net)
    mixes = (settings.part(AUGMENT) or Settings()).number("mixup", 0.0) > 0
    return Objective(plain) if mixes else None


def started(net: ImageNet, material: Held, settings: Told, work: Work, meter: Meter) -> None:
    """Give a net what it has before training: the scale of pixels, and weights from elsewhere.

    Raises
    ------
    CheckpointRefused
        If the checkpoint that is asked for is absent, no safetensors and no bundle, or of another architecture.
    """
    pixels = torch.from_numpy(material.arrays[INPUT])
    net.pixels.standardise(pixels)
    asked = settings.part(PRETRAINED)
    if asked is not None:
        take_over(net, str(asked.get("checkpoint", "")), pixels)
        net.pace = PACE
    if settings.part(SELF_SUPERVISED) is not None:
        pretrain(net, material, settings, work, meter)


def withstood(net: ImageNet, material: Held, target: NDArray[Any], settings: Told) -> str:
    """Return what accuracy is left when the pixels of validation rows are moved to harm, as a sentence."""
    reach = (settings.part(ADVERSARIAL) or Settings()).number("epsilon", REACH)
    rows = np.unique(np.linspace(0, len(material) - 1, LOOKED_AT).astype(int))
    clean, robust = accuracies(net, material.batch(rows), torch.from_numpy(target[rows]), Attack(reach, HARDER))
    return (
        f"adversarial: {clean:.1%} of {len(rows)} validation rows are decided rightly, and {robust:.1%} when pixels "
        f"are moved by up to {reach:g} shades of 255 to harm ({HARDER} steps)."
    )


def accuracies(net: ImageNet, inputs: dict[str, Tensor], target: Tensor, attack: Attack) -> tuple[float, float]:
    """Return the shares of images that a net decides rightly, as they are and attacked; the same each time.

    Parameters
    ----------
    net
        In evaluation mode, on the CPU; left so.
    inputs
        Images, as the net reads them.
    target
        Class codes, shape (n,).
    attack
        What moves the pixels of each image by the gradient of its own loss.
    """
    x = net.eval().pixels(inputs).detach()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        harmed = attack(
            x, net.pixels, lambda found: functional.cross_entropy(net.answer(found), target, reduction="sum")
        )
    with torch.no_grad():
        clean, robust = (float((net.answer(one).argmax(1) == target).double().mean()) for one in (x, harmed))
    return clean, robust
