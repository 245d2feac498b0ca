"""What the groups of a graph are worth: how large their weights are, or what their absence would do to the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from steelyard.contracts import Artefact, Floats, Ints, Meter, Split, Work
from steelyard.learners.nets._machine import threads
from steelyard.learners.nets.graph_net import GraphNet
from steelyard.levers.shrinking.pruning.cuts import Anatomy, Family, kept_of
from steelyard.levers.shrinking.tuning.feeding import material_of, sample
from steelyard.levers.shrinking.tuning.lesson import Pupil
from steelyard.levers.shrinking.tuning.tuned import lesson_of

ROWS, BATCH = 1_024, 32
"""Rows whose gradients say what a group is worth, and how many of them make one gradient."""


def magnitudes(anatomy: Anatomy, families: Sequence[Family]) -> list[Floats]:
    """Return the L2 norm of each group's numbers, all the weights that it stands in together.

    Li, Kadav, Durdanovic, Samet, Graf: Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710, rank the
    filters of a layer by their norm; that all tied weights count is due to Fang et al., CVPR 2023.
    """
    return [np.sqrt(anatomy.summed(one, lambda name: anatomy.array(name) ** 2).sum(axis=1)) for one in families]


def taylor(
    anatomy: Anatomy, families: Sequence[Family], artefact: Artefact, *, split: Split, work: Work, meter: Meter
) -> list[Floats]:
    """Return by how much the loss would change without each group, squared, to first order.

    Molchanov, Mallya, Tyree, Frosio, Kautz: Importance Estimation for Neural Network Pruning, CVPR 2019,
    arXiv:1906.10771: the square of the sum of gradient times weight, averaged over batches of training rows.
    """
    rows = split.take(sample(len(split), ROWS, work.seed))
    material, net = material_of(artefact, rows.columns, threads=work.threads), GraphNet(anatomy.graph).eval()
    lesson = lesson_of(split, work, share=0.0)
    target = lesson.target(rows.target, np.empty((len(rows), 0))).astype(np.float32)
    weights = np.ones(len(rows), np.float32) if rows.weights is None else rows.weights.astype(np.float32)
    pupil = Pupil(net, None, lesson, ()).eval()
    found = [np.zeros(len(one)) for one in families]
    with threads(work.threads):
        for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // BATCH)):
            pupil.zero_grad(set_to_none=True)
            outputs = pupil(material.batch(part))
            pupil.loss(outputs, torch.from_numpy(target[part]), torch.from_numpy(weights[part])).backward()  # type: ignore[no-untyped-call]
            moved = _moved(net, anatomy)
            for place, one in enumerate(families):
                found[place] += (anatomy.summed(one, moved.__getitem__) ** 2).sum(axis=1)
            if meter.remaining() <= 0:
                break
    return found


def _moved(net: GraphNet, anatomy: Anatomy) -> Mapping[str, Floats]:
    """Return gradient times weight, and zeros for arrays that are not trained."""
    weights = net.weights
    moved = {}
    for name in {name for family in anatomy.families for name, _ in family.spots}:
        weight = weights.get(name)
        if weight is None or weight.grad is None:
            moved[name] = np.zeros(anatomy.array(name).shape)
        else:
            moved[name] = (weight * weight.grad).detach().cpu().double().numpy()
    return moved


def least(families: Sequence[Family], worths: Sequence[Floats], share: float) -> Ints:
    """Return the groups that are worth least, a share of each family, by their units."""
    gone = [np.empty(0, np.int64)]
    for family, worth in zip(families, worths, strict=True):
        order = np.argsort(worth, kind="stable")
        gone.append(family.units[order[: len(family) - kept_of(len(family), share)]])
    return np.concatenate(gone)
