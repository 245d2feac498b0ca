"""End a training when validation rows gain nothing any more, and keep its best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class EarlyStopping(NetLever):
    """Ends a training after some epochs without a lower loss on validation rows, and keeps the weights of the best one.

    A refit then takes as many epochs as the best one was.
    """

    name = "early-stopping"
    paper = (
        "Prechelt: Early Stopping - But When? Neural Networks: Tricks of the Trade, 1998, doi:10.1007/3-540-49430-8_3"
    )
    about = "Ends the training of a net when validation rows gain nothing any more, and keeps the best epoch."
    space: ClassVar[Mapping[str, Setting]] = {
        "patience": Setting(default=3, low=1, high=20, log=True, unit="epochs", about="Epochs without a lower loss."),
    }
    choices = (
        Option(
            settings=Settings(patience=3),
            gain=(0.002, 0.0, 0.02),
            seconds=0.8,
            source="assumed; Prechelt found that criteria of four times the time bring some 4% less error",
            why="the epoch of the lowest validation loss is kept",
        ),
    )
