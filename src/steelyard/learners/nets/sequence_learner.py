"""What learners that are nets over sequences share: what they accept, read and vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.contracts import Kind, Prior, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.learners._table import guess, refuse_without
from steelyard.learners.nets.course import COURSE, HONOURS, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.sequences import MOST_STEPS, Sequences, learned

if TYPE_CHECKING:
    from steelyard.learners.nets.export import Axes
    from steelyard.learners.nets.loop import Vary
    from steelyard.learners.nets.reading import Reading

_READ = (Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION)

COMMON: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=16),
    "clip": replace(COURSE["clip"], default=1.0),
    "dropout": Setting(default=0.2, low=0.0, high=0.5, about="Share of states that a training step leaves out."),
    "longest": Setting(
        default=0,
        low=0,
        high=10_000,
        unit="readings",
        about=f"Most readings of a row, the last; 0: all, to {MOST_STEPS}.",
    ),
}
"""The settings that all nets over sequences share."""


class SequenceLearner(NetLearner):
    """A net over one column of sequences; a family says what the net is."""

    honours = HONOURS | {"augment"}
    settings = COMMON
    seconds_a_step: float = 1e-6
    """What one reading costs to go through training once, on one core, in s; for the prior."""

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse a table that is not one column of sequences, and a machine without PyTorch."""
        return refuse_other_tables(self.name, task, schema) or refuse_without(self.name, "torch")

    def reading(self, train: Split, work: Work, settings: Told) -> Sequences:
        """Return the reading of the sequences: lengths, scales, what is missing."""
        return learned(train, work, longest=int(settings.number("longest", 0)))

    def axes(self, reading: Reading, settings: Told) -> Axes | None:
        """Return rows and steps: a row to come may be of another length, whether or not two of training are."""
        del settings
        return {name: {0: "n", 1: "steps"} for name in reading.feeds[0].inputs}

    def vary(self, settings: Told) -> Vary | None:
        """Return the augmentation that the plan asks for."""
        asked = settings.part("augment")
        if asked is None:
            return None
        from steelyard.learners.nets.vary_series import varied  # noqa: PLC0415 - torch is loaded by what trains

        return varied(asked)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training should cost: a time a reading and epoch, beside some seconds that any net takes."""
        del task
        epochs = int(str(self.settings["epochs"].default))
        steps = max((c.gathered.window or _STEPS for c in schema.of(Kind.SEQUENCE) if c.gathered), default=_STEPS)
        return guess(seconds=5 + self.seconds_a_step * rows * steps * epochs, gain=self.gain)


_STEPS = 100
"""Readings of a row where nobody says."""


def refuse_other_tables(learner: str, task: Task, schema: Schema) -> Refusal | None:
    """Refuse a table that is not one column of sequences."""
    if task.problem not in _READ:
        return Refusal(f"{learner} tells classes or values of sequences, and this task is {task.problem.value}.")
    sequences = schema.of(Kind.SEQUENCE)
    if not sequences:
        return Refusal(
            f"{learner} reads sequences of readings, and this table has none: say under `sequence` how they are "
            "gathered, or use 'linear' or 'lightgbm'.",
            lacks=Kind.SEQUENCE,
        )
    others = [column.name for column in schema.features if column is not sequences[0]]
    if others:
        named = ", ".join(map(repr, others[:5]))
        return Refusal(
            f"{learner} reads one column of sequences alone, and this table also has {named}; use 'linear' or "
            "'lightgbm', which take mixtures, or list what it may not read under `columns: {ignore: [...]}`."
        )
    return None
