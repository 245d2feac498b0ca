"""Pruning a graph of weights: what there is to remove, what it is worth, and the graph without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from steelyard.contracts import Artefact, Meter, Split, Work
from steelyard.learners.nets.graph_net import refusal
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.pruning.cuts import Anatomy
from steelyard.levers.shrinking.pruning.layers import cheapest, layers_of, without_layers
from steelyard.levers.shrinking.pruning.worth import least, magnitudes, taylor
from steelyard.levers.shrinking.tuning.feeding import material_of
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Job:
    """What is pruned, by which rows and how: the settings of ``prune``, complete and checked."""

    artefact: Artefact
    split: Split
    given: Settings
    work: Work
    meter: Meter

    def example(self) -> dict[str, Tensor]:
        """Return the inputs of the graph for three rows.

        Raises
        ------
        LeverRefused
            If PyTorch cannot compute the graph.
        """
        if (sentence := refusal(self.artefact.graph)) is not None:
            raise LeverRefused(
                f"prune cannot read this model: {sentence}; leave it out with `levers: {{without: [prune]}}`"
            )
        few = self.split.take(np.arange(3) % len(self.split))
        return material_of(self.artefact, few.columns).batch(np.arange(3))

    def nothing(self, parts: str) -> LeverRefused:
        """Return the refusal where there is nothing to remove."""
        return LeverRefused(
            f"prune finds no {parts} to remove in this graph (what: {self.given['what']}, share: "
            f"{self.given['share']}); give another `what` or a larger `share`, or leave it out with "
            "`levers: {without: [prune]}`"
        )


def fewer_layers(job: Job) -> Artefact:
    """Return the artefact without some of the layers that a residual way leads around."""
    layers = layers_of(job.artefact.graph, job.example())
    count = round(job.given.number("share", 0.5) * len(layers))
    if not count:
        raise job.nothing("layers that a residual way leads around")
    gone = cheapest(job.artefact, layers, count, split=job.split, work=job.work, meter=job.meter)
    job.meter.note(f"prune leaves out {len(gone)} of {len(layers)} layers.")
    return replace(job.artefact, graph=without_layers(job.artefact.graph, gone))


def fewer_units(job: Job) -> Artefact:
    """Return the artefact without a share of the channels, hidden units and heads of each layer."""
    anatomy, what = Anatomy(job.artefact.graph, job.example()), job.given["what"]
    families = [one for one in anatomy.families if what in {"auto", one.kind}]
    if job.given["by"] == "taylor":
        worths = taylor(anatomy, families, job.artefact, split=job.split, work=job.work, meter=job.meter)
    else:
        worths = magnitudes(anatomy, families)
    units = least(families, worths, job.given.number("share", 0.5))
    if not len(units):
        raise job.nothing("heads" if what == "heads" else "channels, hidden units or heads")
    job.meter.note(f"prune leaves out {len(units):,} of {sum(map(len, families)):,} channels, hidden units and heads.")
    return replace(job.artefact, graph=anatomy.without(units))
