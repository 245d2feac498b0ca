"""Train bottleneck adapters in the layers of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Setting
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._few import FewNumbers
from steelyard.levers.training._nets import Option
from steelyard.recipe import Settings


class Adapter(FewNumbers):
    """Puts a bottleneck behind attention and behind the inner net of each layer, and trains those alone.

    They begin as nothing, so training starts from what the encoder says; they ship, and cost a few percent to serve.
    """

    name = "adapter"
    paper = (
        "Houlsby, Giurgiu, Jastrzebski, Morrone, de Laroussilhe, Gesmundo, Attariyan, Gelly: Parameter-Efficient "
        "Transfer Learning for NLP. ICML 2019, arXiv:1902.00751"
    )
    about = "Trains narrow layers behind each half of an encoder's layers; they ship beside the weights."
    space: ClassVar[Mapping[str, Setting]] = SPACES["adapter"].settings
    choices = (
        Option(
            settings=Settings(size=48),
            gain=(0.002, -0.05, 0.02),
            seconds=0.85,
            source="assumed: no gradients of the large matrices, two narrow layers more",
            why="few numbers are trained, and more freely than pairs of one rank",
        ),
    )
