"""Text by a recurrent layer that reads it from both ends, trained from nothing."""

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

    from steelyard.learners.nets.recurrent import Cell


class Rnn(TextNet):
    """Schuster, Paliwal: Bidirectional Recurrent Neural Networks, IEEE Transactions on Signal Processing 1997.

    Its cell is that of Hochreiter and Schmidhuber (Long Short-Term Memory, Neural Computation 1997) or of Cho et al.
    (EMNLP 2014). What it has read at each token is pooled by mean and maximum over the tokens of the row alone, so
    that padding changes nothing.
    """

    name = "rnn"
    about = "Text by a recurrent net (LSTM or GRU) that reads it from both ends, in PyTorch, trained from nothing."
    settings: Mapping[str, Setting] = {
        **SETTINGS,
        "cell": Setting(default="gru", options=("gru", "lstm"), about="What remembers from token to token."),
        "units": Setting(default=64, low=8, high=256, log=True, about="Numbers that it remembers, a direction."),
    }
    seconds_a_row = 0.0015
    gain = 0.6

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the untrained net."""
        from steelyard.learners.nets import text_bodies  # noqa: PLC0415 - torch is loaded by what trains

        cell: Cell = "lstm" if settings["cell"] == "lstm" else "gru"
        sizes = sizes_of(reading, task, settings)
        return text_bodies.TextRnn(units=int(settings.number("units", 1)), cell=cell, **sizes)

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: products a token, of four gates or three."""
        gates = 4 if settings.get("cell", self.settings["cell"].default) == "lstm" else 3
        units = settings.number("units", 64)
        return 2 * gates * units * (settings.number("embedding", 128) + units)
