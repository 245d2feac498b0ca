"""Look for the learning rate before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class LearningRateFinder(NetLever):
    """Raises the rate from step to step for 80 steps, and trains at a tenth of that at which the loss was least.

    It saves the trials that tuning would need to find out, where a default does not fit the rows.
    """

    name = "learning-rate-finder"
    paper = "Smith: Cyclical Learning Rates for Training Neural Networks. WACV 2017, arXiv:1506.01186"
    about = "Looks for a net's highest learning rate by a short test in which it rises until the loss climbs."
    space: ClassVar[Mapping[str, Setting]] = {
        "find": Setting(default=True, options=(True, False), about="Whether it is looked for."),
    }
    choices = (
        Option(
            settings=Settings(find=True),
            gain=(0.005, 0.0, 0.05),
            seconds=1.1,
            source="assumed: 80 steps more, and much only where the default is far off",
            why="a rate that suits these rows is found in 80 steps",
        ),
    )
