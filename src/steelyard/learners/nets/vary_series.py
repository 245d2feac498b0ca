"""Sequences of readings, varied a little from batch to batch: noise, size, and where they begin.

Um et al.: Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional neural
networks (ICMI 2017), for jitter and scaling; Le Guennec, Malinowski, Tavenard: Data augmentation for time series
classification using convolutional neural networks (AALTD 2016), for window slicing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from steelyard.learners.nets.sequences import MASK, VALUES
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from steelyard.learners.nets.loop import Vary


def varied(asked: Settings) -> Vary:
    """Return what varies a batch, as a plan's part says.

    Parameters
    ----------
    asked
        Those of :data:`~steelyard.learners.nets.series_options.SERIES`: ``jitter`` is noise on each reading, in
        standard deviations of its channel in the batch; ``scaling`` the standard deviation of the factor by which the
        readings of a row stand away from the mean of their channel; ``slicing`` the most that is cut off the start of
        a row, as a share of its steps; its last reading always stays. What is not asked for is not done.
    """
    jitter, scaling = asked.number("jitter", 0.0), asked.number("scaling", 0.0)
    slicing = asked.number("slicing", 0.0)

    def vary(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        values, mask = _sliced(batch[VALUES], batch[MASK], slicing, generator)
        there = mask.unsqueeze(2)
        centre = (values * there).sum((0, 1)) / there.sum().clamp_min(1.0)
        off = (values - centre) * there
        spread = (off**2).sum((0, 1)).div(there.sum().clamp_min(1.0)).sqrt()
        factor = 1 + scaling * torch.randn((len(values), 1, values.shape[2]), generator=generator)
        noise = jitter * spread * torch.randn(values.shape, generator=generator)
        is_mark = ((values == 0) | (values == 1)).flatten(0, 1).all(0)  # marks of missing readings stay what they are
        changed = torch.where(is_mark, values, centre + off * factor + noise)
        return {**batch, VALUES: changed * there, MASK: mask}

    return vary


def _sliced(values: Tensor, mask: Tensor, slicing: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut some steps off the start of each row, the others moved to the front."""
    steps = mask.sum(1)
    cut = (torch.rand(len(mask), generator=generator) * slicing * steps).floor()
    cut = torch.minimum(cut, (steps - 1).clamp_min(0))
    place = torch.arange(mask.shape[1]) + cut.long().unsqueeze(1)
    at = place.clamp_max(mask.shape[1] - 1)
    kept = (place < steps.unsqueeze(1)).to(mask.dtype)
    moved = values.gather(1, at.unsqueeze(2).expand(-1, -1, values.shape[2]))
    return moved * kept.unsqueeze(2), kept
