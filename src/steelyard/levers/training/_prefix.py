"""Train keys and values before those of a text (prefix tuning)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._few import FewNumbers
from steelyard.levers.training._nets import Option
from steelyard.recipe import Settings


class Prefix(FewNumbers):
    """Puts learnt keys and values before those of the tokens, in every layer, and trains those alone.

    They cannot be merged: what ships attends to them, so each layer costs as if texts were so much longer.
    """

    name = "prefix"
    paper = (
        "Li, Liang: Prefix-Tuning: Optimizing Continuous Prompts for Generation. ACL 2021, arXiv:2101.00190; for "
        "understanding: Liu, Ji, Fu, Du, Yang, Tang: P-Tuning v2. ACL 2022, arXiv:2110.07602"
    )
    about = "Trains keys and values that stand before a text's in every layer; they ship beside the weights."
    space: ClassVar[Mapping[str, Setting]] = SPACES["prefix"].settings
    choices = (
        Option(
            settings=Settings(tokens=16),
            gain=(0.001, -0.1, 0.01),
            seconds=0.9,
            source="assumed: no gradients of matrices, attention to more places",
            why="few numbers are trained, and the encoder itself is the same for many tasks",
        ),
    )
