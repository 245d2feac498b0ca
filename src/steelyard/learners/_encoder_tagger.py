"""Tags by a pretrained encoder that is trained further, with capitals as a feature beside what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from steelyard.bundle.front_ends._subwords import Pieces, Row
from steelyard.contracts import (
    Columns,
    Feed,
    Fitted,
    Ints,
    Kind,
    Meter,
    Problem,
    Refusal,
    Schema,
    Setting,
    Split,
    Task,
    Work,
)
from steelyard.contracts.ragged import lengths_of
from steelyard.learners._table import refuse_without
from steelyard.learners._token_linear import refusal_of_tokens
from steelyard.learners.nets.course import COURSE, HONOURS, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Reading
from steelyard.learners.pretrained.checkpoints import Checkpoint
from steelyard.learners.pretrained.offers import PART, checkpoint_asked, refuse_without_checkpoint
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

FILE = "tokenizer.json"
INPUTS = ("ids", "mask", "looks", "first")
SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=4),
    "learning_rate": replace(COURSE["learning_rate"], default=0.0002, low=0.00001, high=0.002),
    "batch": replace(COURSE["batch"], default=16),
    "length": Setting(default=128, low=16, high=512, unit="pieces", about="Most of a row; beyond it tokens are O."),
    "dropout": Setting(default=0.1, low=0.0, high=0.5, about="Share of what a layer passes on that is left out."),
}


@dataclass(frozen=True, slots=True)
class PieceMaterial:
    """Rows of tokens as pieces."""

    pieces: Pieces
    rows: tuple[Row, ...]
    lengths: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return the inputs of the graph for some rows."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        laid = self.pieces.padded([self.rows[row] for row in rows.tolist()])
        return {name: torch.from_numpy(array) for name, array in zip(INPUTS, laid, strict=True)}


@dataclass(frozen=True, slots=True)
class PieceReading:
    """One column of tokens, read by the front end ``subwords`` with the tokenizer of an encoder."""

    column: str
    checkpoint: Checkpoint
    length: int

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph's inputs in a bundle."""
        options = {"tokenizer": FILE, "length": self.length, "pad": self.checkpoint.pad}
        return (Feed("subwords", INPUTS, (self.column,), options),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The tokenizer."""
        return {FILE: self.checkpoint.tokenizer}

    def material(self, columns: Columns) -> PieceMaterial:
        """Return some rows, ready to be taken in batches."""
        cells, pieces = columns[self.column], Pieces.read(self.checkpoint.tokenizer, self.length, self.checkpoint.pad)
        return PieceMaterial(pieces, tuple(map(pieces.of, cells)), lengths_of(cells))


class EncodedTagger(NetLearner):
    """A pretrained encoder under a layer of tags, all of it trained; the tags of a token are read off its first piece.

    Devlin, Chang, Lee, Toutanova, "BERT" (2019), section 5.3.
    """

    name = "encoder-tagger"
    about = "Tags by a pretrained encoder (MiniLM) that is trained further, with capitals as a feature."
    problems = frozenset({Problem.TAGGING})
    honours = HONOURS | {PART}
    settings = SETTINGS
    modules: ClassVar[tuple[str, ...]] = (*NetLearner.modules, "transformers", "onnx", "tokenizers")
    seconds_a_row = 0.02
    gain = 0.45

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no tagging of one column of tokens, and a machine without PyTorch or the encoder."""
        refusal = refusal_of_tokens(self.name, task, schema)
        for package in ("torch", "transformers"):
            refusal = refusal or refuse_without(self.name, package)
        return refusal or refuse_without_checkpoint(self.name, schema)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Train for as many epochs as were asked for, or as there is time for.

        Raises
        ------
        CheckpointRefused
            If the encoder is not on this machine, or is not what the recipe names.
        """
        trained = super().fit(plan, train, valid, work, meter)
        from steelyard.learners.nets.fitted import FittedNet  # noqa: PLC0415 - torch is loaded by what trains
        from steelyard.learners.pretrained.tags import FittedTags  # noqa: PLC0415 - as above

        assert isinstance(trained, FittedNet)
        assert isinstance(trained.reading, PieceReading)
        return FittedTags.of(trained, trained.reading.checkpoint.about())

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Find the checkpoint; it reads no more than it has places for."""
        del train
        checkpoint = checkpoint_asked(settings.part(PART), work.schema)
        length = min(int(settings.number("length", 128)), checkpoint.longest)
        return PieceReading(work.schema.of(Kind.TOKENS)[0].name, checkpoint, length)

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the encoder under an untrained layer of tags."""
        from steelyard.learners.pretrained.tags import TagNet  # noqa: PLC0415 - torch is loaded by what trains

        assert isinstance(reading, PieceReading)
        return TagNet(reading.checkpoint, task.classes, dropout=settings.number("dropout", 0.1))

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve, against a small net."""
        del settings
        return 1e7
