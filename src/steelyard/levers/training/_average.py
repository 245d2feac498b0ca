"""Ship a mean of the weights that a training passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class Average(NetLever):
    """Ships a mean of the weights instead of the last ones: a running one, or that of the last quarter of training."""

    name = "average"
    paper = (
        "Izmailov, Podoprikhin, Garipov, Vetrov, Wilson: Averaging Weights Leads to Wider Optima and Better "
        "Generalization. UAI 2018, arXiv:1803.05407; Polyak, Juditsky: Acceleration of Stochastic Approximation by "
        "Averaging. SIAM Journal on Control and Optimization 1992, doi:10.1137/0330046"
    )
    about = "Averages the weights that a net passes in training: a running mean, or one over the last quarter (SWA)."
    space: ClassVar[Mapping[str, Setting]] = {
        "kind": Setting(default="ema", options=("ema", "swa"), about="A running mean, or one over the last quarter."),
    }
    choices = (
        Option(
            settings=Settings(kind="ema"),
            gain=(0.002, 0.0, 0.02),
            seconds=1.05,
            source="assumed: it smooths noise that a falling rate has left",
            why="a running mean of weights is less noisy than the last ones",
        ),
        Option(
            settings=Settings(kind="swa"),
            gain=(0.002, 0.0, 0.02),
            seconds=1.15,
            source="assumed: a pass more over the rows for BatchNorm in each epoch of the last quarter",
            why="a mean over the last quarter lies in the middle of a wide optimum",
        ),
    )
