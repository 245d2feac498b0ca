"""A pretrained encoder under a layer of tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from steelyard.bundle.front_ends._token_chars import LOOKS
from steelyard.learners.nets._bert import read_bert
from steelyard.learners.nets.course import Course
from steelyard.tasks.spans import OUTSIDE

HEAD = 10.0
"""How many times faster than the encoder what is new learns."""
UNREAD = 20.0
"""The logit of ``O`` for tokens that were not read."""


class EncodedNet(nn.Module):
    """Logits of tags, shape (n, T, classes), read off the first piece of each token.

    The encoder reads lower case; how a token is written is added to the embeddings of its pieces, from nothing at
    first, and stands beside its vector in the last layer.
    """

    unread: Tensor

    def __init__(self, folder: Path, classes: tuple[str, ...], *, dropout: float) -> None:
        super().__init__()
        self.encoder = read_bert(folder, dropout)
        width = self.encoder.width
        self.looks = nn.Embedding(LOOKS, width)
        nn.init.zeros_(self.looks.weight)
        self.drop = nn.Dropout(dropout)
        self.leave = nn.Linear(width, len(classes))
        self.written = nn.Embedding(LOOKS, len(classes))
        nn.init.zeros_(self.written.weight)
        outside = torch.zeros(len(classes))
        outside[classes.index(OUTSIDE) if OUTSIDE in classes else 0] = UNREAD
        self.register_buffer("unread", outside)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch."""
        looks, first = inputs["looks"], inputs["first"]
        known = self.encoder(inputs["ids"], inputs["mask"], self.looks(looks))
        own = known.gather(1, first.unsqueeze(2).expand(-1, -1, known.shape[2]))
        logits = self.leave(self.drop(own)) + self.written(looks.gather(1, first))
        return torch.where((first > 0).unsqueeze(2), logits, self.unread)

    def groups(self, course: Course) -> list[dict[str, Any]]:
        """Return the parameters: the encoder at the rate of the course, what is new at a higher one."""
        new = [*self.looks.parameters(), *self.leave.parameters(), *self.written.parameters()]
        return [
            {
                "params": list(self.encoder.parameters()),
                "lr": course.learning_rate,
                "weight_decay": course.weight_decay,
            },
            {"params": new, "lr": HEAD * course.learning_rate, "weight_decay": 0.0},
        ]
