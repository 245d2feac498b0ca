"""Images by ResNet-18 or ResNet-50, from nothing or from a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.contracts import Setting
from steelyard.learners._image_learner import IMAGES, PRETRAINED, ImageLearner
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from steelyard.learners._image_net import ImageNet
    from steelyard.learners.nets.course import Told


class Resnet(ImageLearner):
    """He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016.

    Its parameters have the names that published checkpoints use, so that the part ``pretrained`` of a plan can start
    it from one: a folder with safetensors, or the bundle of another run.
    """

    name = "resnet"
    about = "Images by ResNet-18 or -50 in PyTorch, from nothing or from a checkpoint in safetensors."
    settings = {  # noqa: RUF012 - never changed; its base says Mapping
        **IMAGES,
        "learning_rate": replace(IMAGES["learning_rate"], default=0.002),
        "depth": Setting(default=18, options=(18, 50), about="Layers with weights."),
        "width": Setting(default=64, options=(16, 32, 64), about="Channels of the first of four stages."),
    }
    seconds_a_row = 0.07
    gain = 0.92

    def made(self, channels: int, side: int, outputs: int, settings: Told) -> ImageNet:
        """Return an untrained net; its stem is that of the checkpoint, if there is one."""
        from steelyard.learners._image_net import ImageNet  # noqa: PLC0415 - torch is loaded by what trains
        from steelyard.learners._resnet_net import Body, stem_for  # noqa: PLC0415 - as above

        depth, width = (int(settings.number(name, 1)) for name in ("depth", "width"))
        stem = stem_for(side)
        if (asked := settings.part(PRETRAINED)) is not None:
            from steelyard.learners._image_checkpoints import stem_of  # noqa: PLC0415 - as above

            stem = stem_of(str(asked.get("checkpoint", "")), stem)
        body = Body(channels, depth, width, stem)
        return ImageNet(channels, body, body.features, outputs)

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve, beside that of :class:`~steelyard.learners._cnn.Cnn`."""
        return settings.number("width", 64) ** 2 * (8.0 if settings.number("depth", 18) == 18 else 16.0)
