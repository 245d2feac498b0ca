"""Train narrow matrices beside those of an encoder (LoRA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._few import FewNumbers
from steelyard.levers.training._nets import Option
from steelyard.recipe import Settings


class Lora(FewNumbers):
    """Adds to each weight matrix the product of two narrow ones, and trains those alone.

    They are merged into the matrices before export, so that what ships costs what it did. Gradients still pass through
    every layer: what is saved is the optimiser's memory and the gradients of the large matrices.
    """

    name = "lora"
    paper = (
        "Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: LoRA: Low-Rank Adaptation of Large Language Models. ICLR "
        "2022, arXiv:2106.09685; in all matrices: Dettmers, Pagnoni, Holtzman, Zettlemoyer: QLoRA. 2023, "
        "arXiv:2305.14314"
    )
    about = "Trains a pair of narrow matrices beside each of an encoder's, and adds their product to it before export."
    space: ClassVar[Mapping[str, Setting]] = SPACES["lora"].settings
    choices = (
        Option(
            settings=Settings(rank=8),
            gain=(0.002, -0.05, 0.02),
            seconds=0.9,
            source="assumed: gradients of the large matrices fall away, the pairs come on top",
            why="few numbers are trained: less memory, and less to overfit where rows are few",
        ),
    )
