"""Nets over the tokens of text: convolutions of several widths, or a recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.learners.nets.recurrent import Cell, Recurrent, pooled

PAD = 0


class TextBody(nn.Module):
    """What nets over tokens share: a table of embeddings, and a linear layer over what each column became.

    Inputs are ``ids_0`` and ``mask_0`` of the first text column, ``ids_1`` and ``mask_1`` of the second, and so on;
    all columns go through the same layers. A derived class says what becomes of each token (:meth:`states`) and of
    each row (:meth:`pool`). What is masked changes nothing, so a row is answered alike whatever it is batched with.

    Parameters
    ----------
    vocabulary
        Rows of the table of embeddings.
    columns
        Text columns.
    embedding
        Numbers a token.
    width
        Numbers a token that :meth:`states` returns.
    features
        Numbers a row that :meth:`pool` returns.
    dropout
        Share of what goes into the linear layer that a training step leaves out; of embeddings half that share.
    outputs
        Columns of the output.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        columns: int,
        embedding: int,
        width: int,
        features: int,
        dropout: float,
        outputs: int,
    ) -> None:
        super().__init__()
        self.columns, self.width = columns, width
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.embedding.weight[PAD])
        self.thin = nn.Dropout(dropout / 2)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(columns * features, outputs)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return what each token became in its surroundings, shape (n, L, width), 0 where the mask is."""
        raise NotImplementedError

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return what each row became, shape (n, features)."""
        raise NotImplementedError

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, outputs)."""
        found = []
        for place in range(self.columns):
            ids, mask = inputs[f"ids_{place}"], inputs[f"mask_{place}"]
            found.append(self.pool(self.states(ids, mask), mask))
        return cast("Tensor", self.head(self.dropout(torch.cat(found, 1))))


class TextCnn(TextBody):
    """Kim: Convolutional Neural Networks for Sentence Classification, EMNLP 2014.

    ``widths`` are the tokens that a filter sees, ``channels`` the filters of each width.
    """

    def __init__(
        self,
        *,
        channels: int,
        widths: Sequence[int],
        vocabulary: int,
        columns: int,
        embedding: int,
        dropout: float,
        outputs: int,
    ) -> None:
        width = channels * len(widths)
        super().__init__(
            vocabulary=vocabulary,
            columns=columns,
            embedding=embedding,
            width=width,
            features=width,
            dropout=dropout,
            outputs=outputs,
        )
        # Of two dimensions, one of them 1: embedded tokens are then what PyTorch's faster kernels want, as they lie.
        self.filters = nn.ModuleList(nn.Conv2d(embedding, channels, (1, width)) for width in widths)
        self.around = [(width // 2, (width - 1) // 2) for width in widths]

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return every filter's answer at every token; beyond the ends of a text lie zeros."""
        x = self.thin(self.embedding(ids)).transpose(1, 2).unsqueeze(2)
        found = [functional.relu(one(functional.pad(x, p))) for one, p in zip(self.filters, self.around, strict=True)]
        return torch.cat(found, 1).squeeze(2).transpose(1, 2) * mask.unsqueeze(2).to(x.dtype)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return each filter's largest answer; what is masked is 0, and no answer is less."""
        del mask
        return states.amax(1)


class TextRnn(TextBody):
    """A layer that reads tokens from both ends; the mean and the largest of its states over a row."""

    def __init__(
        self,
        *,
        units: int,
        cell: Cell,
        vocabulary: int,
        columns: int,
        embedding: int,
        dropout: float,
        outputs: int,
    ) -> None:
        super().__init__(
            vocabulary=vocabulary,
            columns=columns,
            embedding=embedding,
            width=2 * units,
            features=4 * units,
            dropout=dropout,
            outputs=outputs,
        )
        self.recurrent = Recurrent(embedding, units, cell)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the states of both directions."""
        return cast("Tensor", self.recurrent(self.thin(self.embedding(ids)), mask))

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return mean and maximum over the tokens of each row."""
        return pooled(states, mask)
