"""Text by convolutions over the embeddings of its tokens, trained from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from steelyard.contracts import Setting, Task
from steelyard.learners.nets.course import Told
from steelyard.learners.nets.reading import Reading
from steelyard.learners.nets.text_learner import SETTINGS, TextNet, sizes_of
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import nn

WIDTHS: Mapping[str, tuple[int, ...]] = {"1-3": (1, 2, 3), "2-4": (2, 3, 4), "3-5": (3, 4, 5), "1-5": (1, 2, 3, 4, 5)}
"""The widths of filters by what the setting says of them, in tokens."""


class TextCnn(TextNet):
    """Kim: Convolutional Neural Networks for Sentence Classification, EMNLP 2014, doi:10.3115/v1/D14-1181.

    Embeddings are learned with the rest; the vocabulary of characters and joined pieces is learned from the training
    rows and travels as a file of the bundle. The largest answer of each filter over a text feeds one linear layer.
    """

    name = "text-cnn"
    about = "Text by a small convolutional net in PyTorch with a vocabulary of its own, trained from nothing."
    settings: Mapping[str, Setting] = {
        **SETTINGS,
        "channels": Setting(default=100, low=16, high=400, log=True, about="Filters of each width."),
        "widths": Setting(default="2-4", options=tuple(WIDTHS), about="How many tokens filters see, from one to all."),
    }
    seconds_a_row = 0.0012
    gain = 0.6

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the untrained net."""
        from steelyard.learners.nets import text_bodies  # noqa: PLC0415 - torch is loaded by what trains

        channels, widths = int(settings.number("channels", 1)), WIDTHS[str(settings["widths"])]
        return text_bodies.TextCnn(channels=channels, widths=widths, **sizes_of(reading, task, settings))

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: products a token."""
        seen = sum(WIDTHS[str(settings.get("widths", self.settings["widths"].default))])
        return settings.number("embedding", 128) * settings.number("channels", 100) * seen
