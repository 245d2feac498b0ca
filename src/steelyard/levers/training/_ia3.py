"""Train factors on what an encoder computes ((IA)^3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._few import FewNumbers
from steelyard.levers.training._nets import Option
from steelyard.recipe import Settings


class Ia3(FewNumbers):
    """Rescales keys, values and the inner units of each layer by learnt factors, which are merged before export."""

    name = "ia3"
    paper = (
        "Liu, Tam, Muqeeth, Mohta, Huang, Bansal, Raffel: Few-Shot Parameter-Efficient Fine-Tuning is Better and "
        "Cheaper than In-Context Learning. NeurIPS 2022, arXiv:2205.05638"
    )
    about = "Trains one factor for each key, value and inner unit of an encoder, merged before export."
    space: ClassVar[Mapping[str, Setting]] = SPACES["ia3"].settings
    choices = (
        Option(
            settings=Settings(rescale=True),
            gain=(0.001, -0.1, 0.02),
            seconds=0.75,
            source="assumed: no gradients of matrices; a few thousand numbers move less",
            why="the fewest numbers are trained, for the fewest rows",
        ),
    )
