"""Images by a small residual net, trained from nothing on a few cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.contracts import Setting
from steelyard.learners._image_learner import IMAGES, ImageLearner
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from steelyard.learners._image_net import ImageNet
    from steelyard.learners.nets.course import Told


class Cnn(ImageLearner):
    """He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, at the size of a few cores."""

    name = "cnn"
    about = "Images by a small residual net in PyTorch, trained from nothing."
    settings = {  # noqa: RUF012 - never changed; its base says Mapping
        **IMAGES,
        "width": Setting(default=32, options=(8, 16, 32, 64), about="Channels of the first of three stages."),
        "blocks": Setting(default=1, options=(1, 2, 3), about="Residual blocks a stage."),
    }

    def made(self, channels: int, side: int, outputs: int, settings: Told) -> ImageNet:
        """Return an untrained net."""
        from steelyard.learners._cnn_net import made  # noqa: PLC0415 - torch is loaded by what trains

        width, blocks = (int(settings.number(name, 1)) for name in ("width", "blocks"))
        return made(channels, side, width=width, blocks=blocks, outputs=outputs)

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared channels, block by block; more rounds make it no larger."""
        return settings.number("width", 32) ** 2 * settings.number("blocks", 1)
