"""Sequences of readings by dilated causal convolutions, trained from nothing on a few cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from steelyard.contracts import Setting, Task
from steelyard.learners.nets.course import Told
from steelyard.learners.nets.reading import Reading
from steelyard.learners.nets.sequence_learner import COMMON, SequenceLearner
from steelyard.learners.nets.sequences import Sequences
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import nn

KERNEL = 3


class Tcn(SequenceLearner):
    """Bai, Kolter, Koltun: An Empirical Evaluation of Generic Convolutional and Recurrent Networks (2018).

    Reads one column of sequences. Its blocks look twice as far back one after the other, until the last reading sees
    the first; the scaling of channels is the first node of the graph.
    """

    name = "tcn"
    about = "Sequences of readings by dilated causal convolutions in PyTorch, trained from nothing."
    seconds_a_step = 2e-6
    settings: Mapping[str, Setting] = {
        **COMMON,
        "width": Setting(default=48, options=(16, 32, 48, 64, 96), about="Channels of every block."),
        "levels": Setting(
            default=0, low=0, high=8, unit="blocks", about="Blocks; 0: as many as see a whole row, at most 6."
        ),
    }

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the untrained net."""
        from steelyard.learners.nets.sequence_bodies import Convolutional, levels_for  # noqa: PLC0415 - loads PyTorch

        assert isinstance(reading, Sequences)
        levels = int(settings.number("levels", 0)) or levels_for(reading.longest, KERNEL)
        return Convolutional(
            reading,
            width=int(settings.number("width", 48)),
            levels=levels,
            kernel=KERNEL,
            dropout=settings.number("dropout", 0.2),
            outputs=task.width,
        )

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve: squared channels, block by block."""
        return settings.number("width", 48) ** 2 * max(1.0, settings.number("levels", 4) or 4.0)
