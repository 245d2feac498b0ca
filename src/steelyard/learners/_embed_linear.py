"""A linear model on the vectors of a frozen, pretrained encoder of text."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from steelyard.contracts import Kind, Meter, Prior, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.errors import need
from steelyard.learners._settings import SettingsRefused, settings_of
from steelyard.learners._solve import Weights, solve
from steelyard.learners._table import guess, names_of, sums_of
from steelyard.learners.pretrained.architectures import Floats32
from steelyard.learners.pretrained.asked import SPACES
from steelyard.learners.pretrained.encoded import LENGTH, Bucketed, Encoded, FittedProbe
from steelyard.learners.pretrained.offers import PART, checkpoint_asked, part_of, refuse_without_checkpoint
from steelyard.recipe import Plan, Settings

SECONDS_A_TEXT = 0.006
"""One text of 16 tokens through an encoder of six layers of 384 numbers, on one core, in s."""
MOST_COLUMNS = 4


class EmbedLinear:
    """Texts as vectors of a sentence encoder that is not trained further, and a linear model of those.

    The cheapest way to what pretraining knows: every text goes through the encoder once, the same graph that ships,
    and what is left to train is a logistic (of values a ridge) regression on some hundred numbers a text. Reimers,
    Gurevych, "Sentence-BERT" (2019); on how such a probe compares with training the encoder too, Kumar et al.,
    "Fine-Tuning can Distort Pretrained Features" (2022).
    """

    name = "embed-linear"
    honours = frozenset({"settings", "pretrained"})
    modules: ClassVar[tuple[str, ...]] = ("scipy.optimize", "scipy.linalg", "onnx", "tokenizers", "safetensors.numpy")
    """What a worker loads ahead."""
    weighty = True
    about = "Vectors of a frozen, pretrained sentence encoder, then logistic regression (values: ridge regression)."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse tables that are not text alone, and a machine without an encoder for it."""
        del task
        texts = names_of(schema, Kind.TEXT)
        if not texts:
            return Refusal(
                f"{self.name} reads text, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of text under `columns.text`.",
                lacks=Kind.TEXT,
            )
        others = [column.name for column in schema.features if column.kind is not Kind.TEXT]
        if others or len(texts) > MOST_COLUMNS:
            return Refusal(
                f"{self.name} reads up to {MOST_COLUMNS} columns of text and nothing else, and this table has "
                f"{', '.join(map(repr, [*others, *texts][:5]))}: use 'linear' or 'lightgbm', or list columns under "
                "`columns.ignore`."
            )
        return refuse_without_checkpoint(self.name, schema)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty, and how much of a text is read."""
        del task, schema
        return Space(
            {
                "C": Setting(
                    default=30.0, low=0.1, high=1000.0, log=True, about="Inverse of the penalty on large weights."
                ),
                "length": LENGTH,
            }
        )

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess: every text goes through the encoder once."""
        del task
        return guess(seconds=3 + SECONDS_A_TEXT * rows * len(schema.of(Kind.TEXT)), gain=0.7)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedProbe:
        """Embed every text, and fit the weights; validation rows are not needed.

        Raises
        ------
        CheckpointRefused
            If the encoder is not on this machine, or is not what the recipe names.
        """
        del valid
        need("tokenizers", for_=self.name)
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        given = settings_of(PART, SPACES[PART], Plan(settings=part_of(plan) or Settings()))
        if given["scratch"]:
            raise SettingsRefused(f"{self.name} does not train its encoder, so it cannot begin with random weights")
        checkpoint, length = checkpoint_asked(part_of(plan), work.schema), int(settings.number("length", 0))
        blocks = tuple(
            Encoded.fit(name, train.columns, checkpoint, place=place, length=length)
            for place, name in enumerate(names_of(work.schema, Kind.TEXT))
        )
        parts = [block.vectors(train.columns, threads=work.threads, meter=meter, keep=True) for block in blocks]
        there = min(map(len, parts))
        if there < len(train):
            meter.note(f"{self.name} ran out of time after {there} of {len(train)} texts")
        most = max(int(block.feed.options["length"]) for block in blocks)
        meter.note(f"{self.name} reads up to {most} tokens with {checkpoint.about()}")
        features, rows = np.hstack([part[:there] for part in parts]), train.take(np.arange(there))
        weights = _weights(features, rows, settings.number("C", 1.0), work, meter)
        return FittedProbe(
            prelude=Bucketed(blocks),
            weights=Weights(weights.slopes, weights.offsets, weights.late or there < len(train)),
            task=work.task,
            threads=work.threads,
            checkpoint=checkpoint,
        )


def _weights(features: Floats32, rows: Split, inverse_penalty: float, work: Work, meter: Meter) -> Weights:
    """Fit a linear model; one that looks at nothing where there was no time to embed a row."""
    if len(rows):
        return solve(features, rows, inverse_penalty=inverse_penalty, work=work, meter=meter)
    sums = sums_of(work.task)
    return Weights(np.zeros((features.shape[1], sums)), np.zeros(sums), late=True)
