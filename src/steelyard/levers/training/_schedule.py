"""Let the learning rate rise and fall another way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class Schedule(NetLever):
    """Changes how the learning rate rises and falls: one cycle, a warm-up and a cosine, or a warm-up alone."""

    name = "schedule"
    paper = (
        "Smith, Topin: Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates. 2018, "
        "arXiv:1708.07120; Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017, "
        "arXiv:1608.03983"
    )
    about = "Changes how the learning rate of a net rises and falls: one cycle, cosine after a warm-up, or constant."
    space: ClassVar[Mapping[str, Setting]] = {
        "kind": Setting(default="cosine", options=("one-cycle", "cosine", "constant"), about="How the rate falls."),
        "warm_up": Setting(default=0.1, low=0.0, high=0.9, about="Share of the course in which it rises."),
    }
    choices = (
        Option(
            settings=Settings(kind="cosine", warm_up=0.1),
            gain=(0.002, 0.0, 0.01),
            seconds=1.0,
            source="assumed: as much is computed, and schedules that end at nothing differ little",
            why="a short rise leaves more of the course to a falling rate",
        ),
    )
