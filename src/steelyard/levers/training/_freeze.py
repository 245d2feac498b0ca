"""Leave the lowest layers of a pretrained encoder as they are, or let them go one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class Freeze(NetLever):
    """Trains the upper layers alone, or lets the layers go one after the other from the top.

    What frozen layers make of a text is the same in every epoch, so it is computed once and kept: of half the layers
    neither forward nor backward passes are paid for again.
    """

    name = "freeze"
    paper = (
        "Lee, Tang, Lin: What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning. 2019, arXiv:1911.03090; "
        "one by one: Howard, Ruder: Universal Language Model Fine-tuning for Text Classification. ACL 2018, "
        "arXiv:1801.06146"
    )
    about = "Trains the upper layers of a pretrained encoder; what the others make of each text is computed once."
    space: ClassVar[Mapping[str, Setting]] = SPACES["freeze"].settings
    choices = (
        Option(
            settings=Settings(share=0.5),
            gain=(0.002, -0.05, 0.02),
            seconds=0.6,
            source="assumed: the lower half is run once and never backwards; Lee et al. keep 90% of what tuning brings "
            "with a fourth of the layers",
            why="the lower half of the layers says the same each epoch, and is run once",
        ),
        Option(
            settings=Settings(share=0.0, gradual=True),
            gain=(0.002, -0.02, 0.02),
            seconds=0.85,
            source="assumed: the lower layers are trained in the later epochs alone",
            why="layers that are let go one by one forget less of what they knew",
        ),
    )
