"""What a net reads of text: tokens of one or several columns, kept ragged and padded batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Feed, Ints, Kind, Schema, Split
from steelyard.errors import DataUnfit
from steelyard.learners.nets import vocabulary

if TYPE_CHECKING:
    from torch import Tensor

FILE = "tokenizer.json"
PAD = 0


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of text as tokens, one :class:`Ragged` a feed."""

    feeds: tuple[Feed, ...]
    texts: tuple[Ragged, ...]

    @property
    def lengths(self) -> Ints:
        """Tokens of each row, all columns together."""
        return cast("Ints", np.sum([text.lengths for text in self.texts], axis=0))

    def __len__(self) -> int:
        return len(self.texts[0])

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return ids and masks, int64 of shape (n, L), L being the tokens of the longest of these rows."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        found: dict[str, Tensor] = {}
        for feed, text in zip(self.feeds, self.texts, strict=True):
            tensors = text.padded(rows, int(feed.options.get("pad", PAD)))
            found.update(zip(feed.inputs, map(torch.from_numpy, tensors), strict=False))
        return found


@dataclass(frozen=True, slots=True)
class Words:
    """A reading of text columns through one tokenizer, each column by its own feed of the front end ``tokens``."""

    feeds: tuple[Feed, ...]
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, columns: Sequence[str], tokenizer: bytes, length: int, *, pad: int = PAD, types: bool = False) -> Words:
        """Return the reading of some columns by a tokenizer.

        The inputs of the first column are ``ids_0``, ``mask_0`` and, where ``types`` are asked for, ``types_0``.
        """
        options = {"tokenizer": FILE, "length": length, "pad": pad}
        names = ("ids", "mask", "types")[: 2 + types]
        feeds = tuple(
            Feed("tokens", tuple(f"{name}_{place}" for name in names), (column,), options)
            for place, column in enumerate(columns)
        )
        return cls(feeds, {FILE: tokenizer})

    @property
    def size(self) -> int:
        """Tokens in the vocabulary."""
        return vocabulary.size_of(self.files[FILE])

    def material(self, columns: Columns) -> Written:
        """Return some rows as tokens."""
        return Written(self.feeds, tuple(Cutter.of(feed, self.files).rows(columns) for feed in self.feeds))


@phase(Phase.PREPARING)
def learned(train: Split, schema: Schema, *, size: int, least: int, length: int) -> Words:
    """Return a reading of every text column, its vocabulary learned from the training rows.

    Parameters
    ----------
    train
        Rows to learn from.
    schema
        Says which columns are text.
    size
        Most tokens of the vocabulary.
    least
        How often a pair of pieces must stand to become a token.
    length
        Most tokens of a column that are read.

    Raises
    ------
    DataUnfit
        If all the texts are empty.
    """
    names = [column.name for column in schema.of(Kind.TEXT)]
    texts = (text for name in names for text in train.columns[name])
    tokenizer = vocabulary.learn(texts, size=size, least=least)
    reading = Words.of(names, tokenizer, length)
    if reading.size <= len(vocabulary.SPECIAL):
        named = ", ".join(map(repr, names))
        raise DataUnfit(f"the text of {named} is empty in every training row: list it under `columns.ignore`")
    return reading
