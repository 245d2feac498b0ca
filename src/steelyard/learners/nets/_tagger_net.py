"""The net of the tagger: words, characters and capitals of each token, then convolutions over its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steelyard.bundle.front_ends._token_chars import LOOKS, UNKNOWN

OF_CHARACTERS, FILTERS, OF_LOOKS = 24, 48, 8
"""Width of a character, filters over three of them, width of a way to be written."""


class TaggerNet(nn.Module):
    """Logits of tags, shape (n, T, classes); a row's do not depend on the rows beside it, nor on padding.

    Convolutions widen their view by powers of two (Strubell, Verga, Belanger, McCallum, "Fast and accurate entity
    recognition with iterated dilated convolutions", EMNLP 2017); characters are read as Ma and Hovy do ("End-to-end
    sequence labeling via bi-directional LSTM-CNNs-CRF", ACL 2016).

    Parameters
    ----------
    words, characters
        How many there are, those for padding and for the unknown included.
    classes
        Tags.
    width
        Of a word, and of what a layer passes on.
    layers
        Convolutions over tokens.
    forget
        The share of words that count as unknown in training, so that the net learns to do without.
    """

    def __init__(
        self, words: int, characters: int, classes: int, *, width: int, layers: int, forget: float, dropout: float
    ) -> None:
        super().__init__()
        self.forget = forget
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.characters = nn.Embedding(characters, OF_CHARACTERS, padding_idx=0)
        self.looks = nn.Embedding(LOOKS, OF_LOOKS, padding_idx=0)
        self.within = nn.Conv1d(OF_CHARACTERS, FILTERS, 3, padding=1)
        self.enter = nn.Linear(width + FILTERS + OF_LOOKS, width)
        self.along = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**level, dilation=2**level) for level in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.leave = nn.Linear(width, classes)
        for table in (self.words, self.characters, self.looks):
            nn.init.normal_(table.weight, std=0.3)
            with torch.no_grad():
                table.weight[0].zero_()

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch."""
        words, mask = inputs["words"], inputs["mask"].unsqueeze(2)
        if self.training and self.forget > 0:
            lost = torch.rand(words.shape, device=words.device) < self.forget
            words = torch.where(lost & (words > UNKNOWN), torch.full_like(words, UNKNOWN), words)
        each = [self.words(words), self._spelt(inputs["characters"]), self.looks(inputs["looks"])]
        known = torch.relu(self.enter(self.drop(torch.cat(each, dim=2)))) * mask
        for along, norm in zip(self.along, self.norms, strict=True):
            seen = along(known.transpose(1, 2)).transpose(1, 2)
            known = (known + self.drop(torch.relu(norm(seen)))) * mask
        return torch.as_tensor(self.leave(known))

    def _spelt(self, characters: Tensor) -> Tensor:
        """Return what the characters of each token say, shape (n, T, filters)."""
        rows, tokens, letters = characters.shape
        flat = characters.reshape(rows * tokens, letters)
        found = self.within(self.characters(flat).transpose(1, 2))
        blank = (flat == 0).unsqueeze(1)
        strongest = torch.relu(found.masked_fill(blank, -1e4)).amax(dim=2)
        return strongest.reshape(rows, tokens, FILTERS)
