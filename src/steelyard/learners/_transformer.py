"""Text by a pretrained encoder that is trained further."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from steelyard.contracts import (
    Fitted,
    Kind,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Split,
    Task,
    Work,
)
from steelyard.errors import need
from steelyard.learners._settings import SettingsRefused, settings_of
from steelyard.learners._table import guess, names_of, refuse_without
from steelyard.learners.nets.course import COURSE, Told
from steelyard.learners.nets.course import HONOURS as LOOP
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Reading
from steelyard.learners.pretrained.asked import HONOURS, SPACES
from steelyard.learners.pretrained.encoded import LENGTH, Encoded
from steelyard.learners.pretrained.offers import checkpoint_asked, refuse_without_checkpoint
from steelyard.learners.pretrained.pieces import Pieces
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    from torch import nn

SECONDS_A_TEXT = 0.03
"""One text of 20 tokens through training once, six layers of 384 numbers, on one core, in s."""
SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=2, low=1, high=10),
    "learning_rate": replace(
        COURSE["learning_rate"], default=0.0001, low=0.000005, high=0.001, about="Highest rate of the top layer."
    ),
    "batch": replace(COURSE["batch"], default=32),
    "clip": replace(COURSE["clip"], default=1.0),
    "layer_decay": Setting(
        default=0.9, low=0.5, high=1.0, about="The rate of each layer, as a share of that of the layer above it."
    ),
    "head_C": Setting(
        default=10.0,
        low=0.1,
        high=1000.0,
        log=True,
        about="Inverse of the penalty on the head that training starts from.",
    ),
    "length": LENGTH,
}


class Transformer(NetLearner):
    """A pretrained encoder and a linear head, trained together from the head that suits the encoder as it is.

    Devlin, Chang, Lee, Toutanova, "BERT" (2019). The head is not random at the start: it is fitted on the vectors of
    the frozen encoder, so that the first gradients do not undo what pretraining knows (Kumar et al., "Fine-Tuning can
    Distort Pretrained Features and Underperform Out-of-Distribution", 2022).
    """

    name = "transformer"
    about = "A pretrained encoder of text with a head for the task, trained further in PyTorch."
    honours = LOOP | HONOURS
    settings: Mapping[str, Setting] = SETTINGS
    modules: ClassVar[tuple[str, ...]] = (*NetLearner.modules, "transformers", "onnx", "tokenizers")
    seconds_a_row = SECONDS_A_TEXT
    gain = 0.8

    def __init__(self, meter: Meter | None = None, epochs: int | None = None) -> None:
        self._meter, self._epochs = meter, epochs

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse tables that are not one column of text, and a machine without PyTorch or an encoder."""
        if task.problem not in {Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION}:
            return Refusal(f"{self.name} predicts one class or number a row, and this task is {task.problem.value}.")
        texts = names_of(schema, Kind.TEXT)
        others = [column.name for column in schema.features if column.name not in texts[:1]]
        if not texts or others:
            what = f"also has {', '.join(map(repr, others[:5]))}" if texts else "has none"
            return Refusal(
                f"{self.name} reads one column of text alone, and this table {what}: use 'linear' or 'lightgbm', or "
                "list columns under `columns.text` or `columns.ignore`.",
                lacks=None if texts else Kind.TEXT,
            )
        return (
            refuse_without(self.name, "torch")
            or refuse_without(self.name, "transformers")
            or refuse_without_checkpoint(self.name, schema)
        )

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training should cost: a few hundredths of a second a text and epoch."""
        del task, schema
        epochs = int(str(self.settings["epochs"].default))
        return guess(seconds=20 + SECONDS_A_TEXT * rows * epochs, gain=self.gain)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train for as many epochs as were asked for, or as there is time for.

        Raises
        ------
        CheckpointRefused
            If the encoder is not on this machine, or is not what the recipe names.
        SettingsRefused
            If levers ask for what cannot be done together.
        """
        need("transformers", for_=self.name)
        for step in plan.parts:
            if step.lever in SPACES:
                settings_of(step.lever, SPACES[step.lever], Plan(settings=step.settings))
        trained = NetLearner.fit(Transformer(meter, plan.rounds), plan, train, valid, work, meter)
        from steelyard.learners.nets.fitted import FittedNet  # noqa: PLC0415 - torch is loaded by what trains
        from steelyard.learners.pretrained.fitted import FittedEncoder  # noqa: PLC0415 - as above

        assert isinstance(trained, FittedNet)
        return FittedEncoder.of(trained)

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Find the checkpoint, and settle how much of a text is read."""
        checkpoint = checkpoint_asked(settings.part("pretrained"), work.schema)
        column = names_of(work.schema, Kind.TEXT)[0]
        block = Encoded.fit(column, train.columns, checkpoint, place=0, length=int(settings.number("length", 0)))
        return Pieces(
            checkpoint=checkpoint,
            weights=block.weights,
            feed=block.feed,
            files=block.files,
            below=frozen_of(settings, len(block.weights.layers)),
            train=train,
            work=work,
        )

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the encoder with its head, and with what levers put into it; tell the meter what is trained."""
        from steelyard.learners.pretrained.made import made  # noqa: PLC0415 - torch is loaded by what trains

        assert isinstance(reading, Pieces)
        assert self._meter is not None
        return made(reading, task, settings, self._epochs or int(settings.number("epochs", 1)), self._meter)


def frozen_of(settings: Told, layers: int) -> int:
    """Return how many layers, the lowest, a plan leaves as they are.

    Raises
    ------
    SettingsRefused
        If it leaves random ones.
    """
    frozen = settings.part("freeze")
    below = 0 if frozen is None else math.ceil(SPACES["freeze"].complete(frozen).number("share", 0.0) * layers)
    if below and (settings.part("pretrained") or Settings()).get("scratch"):
        raise SettingsRefused("freeze keeps what layers know, and random weights know nothing; leave one of them out")
    return below
