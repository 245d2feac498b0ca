"""Make a step of several batches whose gradients are summed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class GradientAccumulation(NetLever):
    """Sums the gradients of several batches before a step: the step of a larger batch in the memory of a small one.

    Fewer, less noisy steps suit nets whose batches had to be small; the learning rate stays what it is, so an epoch
    goes less far.
    """

    name = "gradient-accumulation"
    paper = (
        "Goyal et al.: Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. 2017, arXiv:1706.02677; summed over "
        "batches: Ott, Edunov, Grangier, Auli: Scaling Neural Machine Translation. WMT 2018, arXiv:1806.00187"
    )
    about = "Trains a net in steps of several batches: less noise a step, in the memory of one batch."
    space: ClassVar[Mapping[str, Setting]] = {
        "batches": Setting(default=4, low=2, high=64, log=True, about="Batches that make a step."),
    }
    choices = (
        Option(
            settings=Settings(batches=4),
            gain=(0.0, 0.0, 0.01),
            seconds=1.0,
            source="assumed: as much is computed, and defaults fit their own batch",
            why="steps of four batches are less noisy",
        ),
    )
