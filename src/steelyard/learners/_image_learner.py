"""What all learners of images share: one column of images, its size, and the levers that they honour."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from steelyard.contracts import Kind, Meter, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.learners._cnn_pictures import feed_of
from steelyard.learners._table import refuse_without
from steelyard.learners.nets.augment import NAME as AUGMENT
from steelyard.learners.nets.augment import options_of
from steelyard.learners.nets.course import COURSE, HONOURS, Told
from steelyard.learners.nets.learner import SELF_SUPERVISED, NetLearner
from steelyard.learners.nets.reading import PlainReading
from steelyard.learners.nets.resize import NAME as RESIZE
from steelyard.learners.nets.resize import share_of

if TYPE_CHECKING:
    from torch import nn

    from steelyard.learners._image_net import ImageNet
    from steelyard.learners.nets.judge import Judge
    from steelyard.learners.nets.loop import Vary
    from steelyard.learners.nets.reading import Held, Material, Reading

LONGEST_SIDE = 128
ADVERSARIAL, PRETRAINED = "adversarial", "pretrained"

IMAGES: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=16, low=4),
    "learning_rate": replace(COURSE["learning_rate"], default=0.006),
    "weight_decay": replace(COURSE["weight_decay"], default=0.02),
    "shift": Setting(default=0.08, low=0.0, high=0.2, unit="of the side", about="Most that an image is moved."),
    "light": Setting(
        default="all",
        options=("all", "own"),
        about="Whose mean and spread pixels are scaled by: those of all training images, or each image's own.",
    ),
    "size": Setting(
        default=None, low=8, high=512, unit="pixels", about=f"Longer side; unset: its own, {LONGEST_SIDE} at most."
    ),
}
"""The settings of every learner of images."""


class ImageLearner(NetLearner):
    """Reads one column of images, which are decoded once.

    BatchNorm is folded into the convolutions of the graph, and the scaling of pixels is its first node, so what ships
    takes uint8 pixels.
    """

    honours = HONOURS | {AUGMENT, RESIZE, SELF_SUPERVISED, ADVERSARIAL, PRETRAINED}
    settings = IMAGES
    seconds_a_row = 0.002
    gain = 0.9

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse a table that is not one column of images, and a machine without PyTorch."""
        if task.problem not in {Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION}:
            return Refusal(f"{self.name} predicts one class or number an image, and this task is {task.problem.value}.")
        images = schema.of(Kind.IMAGE)
        if not images:
            return Refusal(
                f"{self.name} reads images, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of image files under `columns.image`.",
                lacks=Kind.IMAGE,
            )
        others = [c.name for c in schema.features if c is not images[0]]
        if others:
            named = ", ".join(map(repr, others[:5]))
            return Refusal(
                f"{self.name} reads one column of images alone, and this table also has {named}; "
                "put what it may not read under `columns: {ignore: [...]}`."
            )
        return refuse_without(self.name, "torch")

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Return the feed of the column of images, at the size asked for or at their own, up to a limit."""
        column = work.schema.of(Kind.IMAGE)[0].name
        given, share = settings["size"] is not None, share_of(settings.part(RESIZE))
        side = settings.number("size", LONGEST_SIDE)
        return PlainReading((feed_of(column, list(train.columns[column]), round(side), given=given, share=share),))

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return an untrained net, with the loss that the levers of the plan ask for."""
        from steelyard.learners._image_levers import objective_of  # noqa: PLC0415 - torch is loaded by what trains
        from steelyard.learners._image_pixels import OwnLight  # noqa: PLC0415 - as above

        options = reading.feeds[0].options
        net = self.made(options["channels"], max(options["height"], options["width"]), task.width, settings)
        net.loss = objective_of(net, settings)
        if settings.get("light") == "own":
            net.light = OwnLight()
        return net

    @abstractmethod
    def made(self, channels: int, side: int, outputs: int, settings: Told) -> ImageNet:
        """Return an untrained net for images of a longer side, in pixels."""

    def vary(self, settings: Told) -> Vary | None:
        """Return what moves, mirrors, turns and mixes the images of a batch."""
        from steelyard.learners._image_augment import variation  # noqa: PLC0415 - as above

        return variation(settings.number("shift", 0.0), options_of(Kind.IMAGE, settings.part(AUGMENT)))

    def prepare(self, net: nn.Module, material: Material, settings: Told, work: Work, meter: Meter) -> None:
        """Take the scale of pixels from training images; then weights from a checkpoint, or from a pretext task."""
        from steelyard.learners._image_levers import started  # noqa: PLC0415 - as above

        started(cast("ImageNet", net), cast("Held", material), settings, work, meter)

    def conclude(self, net: nn.Module, judge: Judge | None, settings: Told, meter: Meter) -> None:
        """After a training under attack, say how many validation rows withstand a stronger one."""
        from steelyard.learners._image_levers import withstood  # noqa: PLC0415 - as above

        if judge is not None and settings.part(ADVERSARIAL) is not None and judge.task.classes:
            meter.note(withstood(cast("ImageNet", net), cast("Held", judge.material), judge.valid.target, settings))
