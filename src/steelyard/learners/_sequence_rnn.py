"""Sequences of readings by a recurrent layer that reads them from both ends, trained from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from steelyard.contracts import Setting, Task
from steelyard.learners.nets.course import Told
from steelyard.learners.nets.reading import Reading
from steelyard.learners.nets.sequence_learner import COMMON, SequenceLearner
from steelyard.learners.nets.sequences import Sequences
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import nn

    from steelyard.learners.nets.recurrent import Cell


class SequenceRnn(SequenceLearner):
    """Hochreiter, Schmidhuber: Long Short-Term Memory (1997), or the cell of Cho et al. (2014), from both ends."""

    name = "sequence-rnn"
    about = "Sequences of readings by a bidirectional LSTM or GRU in PyTorch, trained from nothing."
    seconds_a_step = 4e-6
    settings: Mapping[str, Setting] = {
        **COMMON,
        "cell": Setting(default="gru", options=("lstm", "gru"), about="Cell of the recurrent layer."),
        "units": Setting(default=32, options=(16, 32, 64, 128), about="Units a direction."),
    }

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the untrained net."""
        from steelyard.learners.nets.sequence_bodies import RecurrentNet  # noqa: PLC0415 - loads PyTorch

        assert isinstance(reading, Sequences)
        return RecurrentNet(
            reading,
            units=int(settings.number("units", 32)),
            cell=cast("Cell", str(settings["cell"])),
            dropout=settings.number("dropout", 0.2),
            outputs=task.width,
        )

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared units."""
        return settings.number("units", 32) ** 2
