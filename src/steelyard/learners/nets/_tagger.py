"""Tags by a small net trained from nothing: convolutions over words, characters and capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.contracts import Kind, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.learners._table import refuse_without
from steelyard.learners._token_linear import refusal_of_tokens
from steelyard.learners.nets.course import COURSE, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Reading
from steelyard.learners.nets.tags import TokenReading
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import nn

SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=20),
    "learning_rate": replace(COURSE["learning_rate"], default=0.004),
    "batch": replace(COURSE["batch"], default=32),
    "width": Setting(default=96, options=(48, 96, 192), about="Width of a word, and of every layer."),
    "layers": Setting(default=3, low=1, high=5, about="Convolutions over tokens; each sees twice as far."),
    "forget": Setting(default=0.2, low=0.0, high=0.6, about="Share of words that count as unknown in training."),
    "dropout": Setting(default=0.4, low=0.0, high=0.7, about="Share of what a layer passes on that is left out."),
    "least": Setting(default=2, low=1, high=20, unit="tokens", about="Tokens that a word needs to be known."),
}


class Tagger(NetLearner):
    """Dilated convolutions over tokens; what it exports gives each token's tags a probability."""

    name = "tagger"
    about = "Tags by a small convolutional net over words, characters and capitals, trained from nothing."
    problems = frozenset({Problem.TAGGING})
    settings = SETTINGS
    seconds_a_row = 0.0012
    gain = 0.35

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no tagging of one column of tokens, and a machine without PyTorch."""
        return refusal_of_tokens(self.name, task, schema) or refuse_without(self.name, "torch")

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared width, layer by layer."""
        return settings.number("width", 96) ** 2 * settings.number("layers", 3)

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Learn the words and the characters."""
        column = work.schema.of(Kind.TOKENS)[0].name
        return TokenReading.of(column, list(train.columns[column]), least=int(settings.number("least", 2)))

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the untrained net."""
        from steelyard.learners.nets._tagger_net import TaggerNet  # noqa: PLC0415 - torch is loaded by what trains

        assert isinstance(reading, TokenReading)
        return TaggerNet(
            len(reading.known.words) + 2,
            len(reading.known.characters) + 2,
            task.width,
            width=int(settings.number("width", 96)),
            layers=int(settings.number("layers", 3)),
            forget=settings.number("forget", 0.2),
            dropout=settings.number("dropout", 0.4),
        )
