"""How nets read tokens that are tagged: words, characters and capitals, laid out once and padded batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.bundle.front_ends._token_chars import Known, Row, padded
from steelyard.bundle.front_ends.token_looks import cut
from steelyard.contracts import Columns, Feed, Ints
from steelyard.contracts.ragged import lengths_of

if TYPE_CHECKING:
    from torch import Tensor

FILE = "tokens.json"
INPUTS = ("words", "characters", "looks", "mask")


@dataclass(frozen=True, slots=True)
class TokenMaterial:
    """Rows of tokens as numbers."""

    rows: tuple[Row, ...]
    lengths: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return the inputs of the graph for some rows."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        laid = padded([self.rows[row] for row in rows.tolist()])
        return {name: torch.from_numpy(array) for name, array in zip(INPUTS, laid, strict=True)}


@dataclass(frozen=True, slots=True)
class TokenReading:
    """One column of tokens, read by the front end ``token-chars``."""

    column: str
    known: Known

    @classmethod
    def of(cls, column: str, rows: Sequence[Sequence[str]], *, least: int) -> TokenReading:
        """Learn the words that stand often enough, and every character."""
        words = Counter(cut(token).lower() for tokens in rows for token in tokens)
        characters = Counter(c for tokens in rows for token in tokens for c in token)
        often = [word for word, count in sorted(words.items()) if count >= least]
        return cls(column, Known.of_lists(often, [c for c, count in sorted(characters.items()) if count >= least]))

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph's inputs in a bundle."""
        return (Feed("token-chars", INPUTS, (self.column,), {"vocabulary": FILE}),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The vocabulary."""
        return {FILE: self.known.write()}

    def material(self, columns: Columns) -> TokenMaterial:
        """Return some rows, ready to be taken in batches."""
        cells = columns[self.column]
        return TokenMaterial(tuple(self.known.of(tokens) for tokens in cells), lengths_of(cells))
